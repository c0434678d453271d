package spec

import (
	"slices"
	"strings"
)

// wild are the letters of a pattern that may stand for others.
const wild = "*?$"

// Opens gives what the names of those objects begin with that a policy of a bucket lets
// everybody do something with, with or without conditions: "" is all of them.
func (p Policy) Opens() []string {
	var all []string
	for _, s := range p.Statement {
		if s.Effect == "Allow" && s.everybody() {
			all = append(all, s.reaches()...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (s Statement) everybody() bool {
	for _, who := range s.Principal {
		if slices.Contains(who, "*") {
			return true
		}
	}
	return len(s.NotPrincipal) > 0
}

// reaches gives what the names of those objects begin with that a statement is about.
func (s Statement) reaches() []string {
	if len(s.Resource) == 0 { // what is left out may be anything
		return []string{""}
	}
	var all []string
	for _, resource := range s.Resource {
		bucket, name, object := strings.Cut(resource, "/")
		switch {
		case strings.ContainsAny(bucket, wild): // which may stand for a / too
			all = append(all, "")
		case object:
			all = append(all, tame(name))
		default:
			all = append(all, s.lists()...)
		}
	}
	return all
}

// lists gives what the names begin with that a statement about the bucket itself shows.
func (s Statement) lists() []string {
	harmless := func(action string) bool {
		return action == "s3:GetBucketLocation" || action == "s3:ListBucketMultipartUploads"
	}
	if len(s.Action) > 0 && !slices.ContainsFunc(s.Action, func(a string) bool { return !harmless(a) }) {
		return nil
	}
	var all []string
	for _, operator := range []string{"StringEquals", "StringLike"} {
		for _, prefix := range s.Condition[operator]["s3:prefix"] {
			all = append(all, tame(prefix))
		}
	}
	if len(all) == 0 {
		return []string{""}
	}
	return all
}

// tame is what of a pattern is before its first wildcard or variable.
func tame(pattern string) string {
	if i := strings.IndexAny(pattern, wild); i >= 0 {
		return pattern[:i]
	}
	return pattern
}
