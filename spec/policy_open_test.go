package spec_test

import (
	"slices"
	"testing"
)

func TestPolicyOpensWhatEverybodyMayReach(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"everything":           {`"Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake/*"`, []string{""}},
		"everybody in a list":  {`"Principal": {"AWS": ["arn:aws:iam::1:root", "*"]}, "Action": "s3:*", "Resource": ["arn:aws:s3:::lake/a/*", "arn:aws:s3:::lake/b/c"]`, []string{"a/", "b/c"}},
		"all but one":          {`"NotPrincipal": {"AWS": "arn:aws:iam::1:root"}, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::lake/a?/*"`, []string{"a"}},
		"a variable":           {`"Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake/home/${aws:username}/*"`, []string{"home/"}},
		"every bucket":         {`"Principal": "*", "Action": "s3:GetObject", "Resource": "*"`, []string{""}},
		"buckets by a pattern": {`"Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::l*/public/x"`, []string{""}},
		"all but a folder":     {`"Principal": "*", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::lake/public/*"`, []string{""}},
		"the list":             {`"Principal": "*", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::lake"`, []string{""}},
		"the list of a folder": {`"Principal": "*", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::lake", "Condition": {"StringEquals": {"s3:prefix": ["public"]}, "StringLike": {"s3:prefix": "open/*"}}`, []string{"open/", "public"}},
		"the list from home":   {`"Principal": "*", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::lake", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}`, []string{""}},
		"anything but writing": {`"Principal": "*", "NotAction": "s3:PutObject", "Resource": "arn:aws:s3:::lake"`, []string{""}},
		"the region":           {`"Principal": "*", "Action": ["s3:GetBucketLocation", "s3:ListBucketMultipartUploads"], "Resource": "arn:aws:s3:::lake"`, nil},
		"one account":          {`"Principal": {"AWS": "arn:aws:iam::1:root"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake/*"`, nil},
		"nobody in particular": {`"Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake/*"`, nil},
	} {
		allowed := must(t, `{"Statement": {"Effect": "Allow", `+c.text+`}}`)
		if got := allowed.Opens(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if got := must(t, `{"Statement": {"Effect": "Deny", `+c.text+`}}`).Opens(); len(got) > 0 {
			t.Errorf("%s denied opens %q", name, got)
		}
	}
}
