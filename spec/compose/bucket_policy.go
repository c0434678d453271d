package compose

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/flumendata/flumen-agent/spec"
)

// bucketPolicy reads who may do what with a bucket: a mapping, its JSON, or a file with that.
func (c *conversion) bucketPolicy(n *yaml.Node, at place) spec.Policy {
	if n.IsZero() || emptyNode(n) {
		return spec.Policy{}
	}
	if n = follow(n); n.Kind == yaml.MappingNode {
		p := plainer{doc: c.main, left: maxNodes, env: c.env, f: &c.findings}
		text, err := json.Marshal(p.value(n, nil))
		if err != nil {
			c.fault(at, "", "policy: %v", err)
		}
		return c.parseBucketPolicy(string(text), c.main.at(n))
	}
	text := c.substitute(n.Value, c.env, at)
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		var ok bool
		if text, at, ok = c.policyFile(text, at); !ok {
			return spec.Policy{}
		}
	}
	return c.parseBucketPolicy(text, at)
}

// parseBucketPolicy reads the JSON of a bucket's policy. A place without a line is a file that
// holds nothing else.
func (c *conversion) parseBucketPolicy(text string, at place) spec.Policy {
	p, err := spec.ParsePolicy(text)
	lacks := func(missing func(spec.Statement) bool) bool { return slices.ContainsFunc(p.Statement, missing) }
	var wrong *spec.PolicyError
	switch {
	case errors.As(err, &wrong):
		if at.line == 0 {
			at.line, at.column = wrong.Line, 1
		}
		c.fault(at, "", "cannot be read as a policy: %s", wrong.Says)
	case lacks(func(s spec.Statement) bool { return len(s.Principal)+len(s.NotPrincipal) == 0 }):
		c.fault(at, `as in "Principal": "*" for everybody`, "a statement in the policy of a bucket needs a Principal: whom it is about")
	case lacks(func(s spec.Statement) bool { return len(s.Resource)+len(s.NotResource) == 0 }):
		c.fault(at, `as in "Resource": "arn:aws:s3:::BUCKET/*"`, "a statement in the policy of a bucket needs a Resource: what it is about")
	}
	return p
}

// policyFile reads the file of a policy, and gives the place to which its lines belong.
func (c *conversion) policyFile(name string, at place) (text string, in place, ok bool) {
	path := abs(c.dir, name)
	if c.outside(path, at, "policy") {
		return "", at, false
	}
	c.Files = append(c.Files, path)
	content, err := readRegular(path)
	if err != nil {
		c.fault(at, "", "policy %s cannot be read: %v", filepath.ToSlash(name), err)
	}
	return string(content), place{file: c.shown(path)}, err == nil
}
