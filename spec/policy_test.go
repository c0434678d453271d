package spec_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/flumendata/flumen-agent/spec"
)

const readOnly = `{
  "Version": "2012-10-17",
  "Id": "what trino may do",
  "Statement": [
    {"Sid": "list", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": ["arn:aws:s3:::lake"]},
    {"Sid": "read", "Effect": "Allow", "Action": ["s3:GetObject", "s3:GetBucketLocation"], "Resource": ["arn:aws:s3:::lake/*", "arn:aws:s3:::lake"]}
  ]
}`

func TestPoliciesThatMeanTheSameHaveTheSameText(t *testing.T) {
	for name, pair := range map[string][2]string{
		"order, names and single texts": {readOnly, `{"Version": "2012-10-17", "Statement": [
			{"Effect": "Allow", "Resource": ["arn:aws:s3:::lake", "arn:aws:s3:::lake/*"], "Action": ["s3:GetBucketLocation", "s3:GetObject", "s3:GetObject"]},
			{"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": "arn:aws:s3:::lake"},
			{"Sid": "again", "Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": "arn:aws:s3:::lake"}]}`},
		"one statement without a list":  {`{"Statement": {"Effect": "Deny", "Action": "s3:*"}}`, `{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": ["s3:*"]}]}`},
		"everybody":                     {`{"Statement": {"Effect": "Deny", "Action": "s3:*", "Principal": "*"}}`, `{"Statement": {"Effect": "Deny", "Action": "s3:*", "Principal": {"AWS": ["*"]}}}`},
		"truths, numbers and addresses": {condition(`"Bool": {"aws:SecureTransport": true}, "NumericLessThan": {"s3:max-keys": 10}, "NotIpAddress": {"aws:SourceIp": ["10.1.2.3/8", "::1"]}`), condition(`"NotIpAddress": {"aws:SourceIp": ["::1/128", "10.0.0.0/8"]}, "Bool": {"aws:SecureTransport": "true"}, "NumericLessThan": {"s3:max-keys": ["10"]}`)},
	} {
		if a, b := must(t, pair[0]).String(), must(t, pair[1]).String(); a != b {
			t.Errorf("%s:\n%s\n%s", name, a, b)
		}
	}
}

func TestPoliciesThatDifferHaveDifferentTexts(t *testing.T) {
	seen := map[string]string{}
	for _, text := range []string{
		readOnly,
		strings.Replace(readOnly, "Allow", "Deny", 1),
		strings.Replace(readOnly, "s3:ListBucket", "s3:*", 1),
		strings.Replace(readOnly, "2012", "2008", 1),
		strings.Replace(readOnly, `"Resource"`, `"NotResource"`, 1),
		strings.Replace(readOnly, `"Action"`, `"NotAction"`, 1),
		condition(`"StringLike": {"s3:prefix": "a"}`), condition(`"StringLike": {"s3:prefix": "b"}`), condition(`"StringEquals": {"s3:prefix": "a"}`),
	} {
		canonical := must(t, text).String()
		if other, twice := seen[canonical]; twice {
			t.Errorf("taken for the same:\n%s\n%s", other, text)
		}
		seen[canonical] = text
	}
}

func TestCanonicalPolicyReadsBackAsItself(t *testing.T) {
	for _, text := range []string{readOnly, condition(`"Bool": {"aws:SecureTransport": false}`), `{"Statement": {"Effect": "Deny", "Action": "s3:*", "NotPrincipal": {"AWS": "arn:aws:iam::1:root"}}}`} {
		once := must(t, text).String()
		if again := must(t, once).String(); again != once {
			t.Errorf("%s\n%s", once, again)
		}
	}
}

func TestPolicyThatCannotBeUnderstoodSaysWhere(t *testing.T) {
	for text, says := range map[string]string{
		"":                          "line 1: EOF",
		"{\n\"Version\": oops":      "line 2: invalid character 'o'",
		`{"Statements": []}`:        `unknown field "Statements"`,
		`{"Version": "2012-10-17"}`: "a policy needs a Statement",
		`{"Version": "2024-01-01", "Statement": {"Effect": "Allow", "Action": "s3:*"}}`:          `no Version "2024-01-01": write "2012-10-17"`,
		strings.Replace(readOnly, "Allow", "allow", 1):                                           `line 5: the Effect of a statement is "Allow" or "Deny", not "allow"`,
		strings.Replace(readOnly, `"Action": ["s3:GetObject", "s3:GetBucketLocation"], `, "", 1): "line 6: a statement has either an Action or a NotAction",
		`{"Statement": {"Effect": "Allow", "Action": {"a": 1}}}`:                                 "where a text or a list of texts belongs",
		`{"Statement": {"Effect": "Allow", "Actions": "s3:*"}}`:                                  `unknown field "Actions"`,
		readOnly + "x": "line 8: there is more after the end",
	} {
		_, err := spec.ParsePolicy(text)
		var fault *spec.PolicyError
		if !errors.As(err, &fault) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}

func TestPolicyOfTheLakehouseCanBeRead(t *testing.T) {
	text, err := os.ReadFile("../examples/lakehouse/conf/minio/readonly.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range must(t, string(text)).Statement {
		if s.Effect != "Allow" || slices.ContainsFunc(s.Action, func(a string) bool { return !strings.HasPrefix(a, "s3:Get") && a != "s3:ListBucket" }) {
			t.Errorf("it does more than reading: %s", s)
		}
	}
}

func TestJoinedPoliciesAllowWhatAllOfThemDo(t *testing.T) {
	a, b := must(t, readOnly), must(t, `{"Statement": {"Effect": "Allow", "Action": "s3:*"}}`)
	sum := spec.JoinPolicies(a, b, a)
	if len(sum.Statement) != 3 || sum.String() != spec.JoinPolicies(b, a).String() || spec.JoinPolicies(a, a).String() != a.String() {
		t.Errorf("%s", sum)
	}
	if !spec.JoinPolicies().IsZero() {
		t.Error("nothing is a policy")
	}
}

func FuzzPolicyTextIsStable(f *testing.F) {
	f.Add(readOnly)
	f.Add(condition(`"IpAddress": {"aws:SourceIp": "10.1.2.3/8"}`))
	f.Add(`{"Statement": {"Effect": "Deny", "Action": "s3:*", "Principal": "*"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := spec.ParsePolicy(text)
		if err != nil {
			return
		}
		again, err := spec.ParsePolicy(p.String())
		if err != nil || again.String() != p.String() {
			t.Errorf("%v\n%s\n%s", err, p, again)
		}
	})
}

func condition(text string) string {
	return `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*", "Condition": {` + text + `}}]}`
}

func must(t *testing.T, text string) spec.Policy {
	t.Helper()
	p, err := spec.ParsePolicy(text)
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return p
}
