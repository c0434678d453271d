package compose

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/flumendata/flumen-agent/spec"
)

const (
	// leastUser and leastSecret are what MinIO asks of the length of its users' keys.
	leastUser, leastSecret = 3, 8
)

// userName keeps to what needs no quoting anywhere; MinIO itself forbids only = and commas.
var userName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@+-]*$`)

// readAccess reads the users of every store, and puts them beside its buckets.
func (c *conversion) readAccess() {
	c.access = map[int][]spec.Resource{}
	taken := map[spec.Ref]place{} // store a.b with user c, and store a with user b.c
	for _, one := range c.Desired.Stores {
		users := c.root.Stores[one.Name].Access
		if one.Path != "" {
			continue // which is a fault already
		}
		for _, name := range slices.Sorted(maps.Keys(users)) {
			user := c.user(one, name, users[name])
			at := c.rootPlace("stores", one.Name, "access", name)
			if first, twice := taken[user.Ref()]; twice {
				c.fault(at, "rename the store or the user", "%s is already the name of what is declared at %s", user.Ref(), first)
			}
			taken[user.Ref()] = at
			tier := max(c.joined.tierOf[one.Service], 0)
			c.access[tier] = append(c.access[tier], user)
		}
	}
}

// user reads one user of a store.
func (c *conversion) user(s *spec.Store, name string, a access) *spec.Access {
	at := func(path ...string) place {
		return c.rootPlace(append([]string{"stores", s.Name, "access", name}, path...)...)
	}
	secret := c.substitute(a.SecretKey, c.env, at("secret_key"))
	c.secret(secret)
	switch {
	case !userName.MatchString(name) || len(name) < leastUser:
		c.fault(at(), "use three or more letters, digits and . _ @ + -, beginning with a letter or digit", "%q cannot be the name of a user", name)
	case name == s.AccessKey.Reveal():
		c.fault(at(), "choose another name", "user %q is the one with whose key the agent works in store %q", name, s.Name)
	}
	switch {
	case secret == "":
		c.fault(at(), `give it one from a variable that is set, as in secret_key: "${TRINO_S3_SECRET}"`, "user %q has no secret_key", name)
	case len(secret) < leastSecret:
		c.fault(at("secret_key"), "use eight letters or more", "the secret_key of user %q is too short", name)
	}
	user := &spec.Access{User: name, Owner: c.load.project, Secret: spec.Sensitive(secret), Policy: c.userPolicy(name, a.Policy, at), Store: s}
	if s.Service != "" {
		user.Depends = c.servers(s)
	}
	return user
}

// userPolicy reads what a user may do: the name of a policy that MinIO has from the
// beginning, JSON, or a file with JSON.
func (c *conversion) userPolicy(user, written string, at func(...string) place) spec.Policy {
	text, place := c.substitute(written, c.env, at("policy")), at("policy")
	builtin, known := spec.BuiltinPolicies[text]
	names := slices.Sorted(maps.Keys(spec.BuiltinPolicies))
	switch {
	case text == "":
		c.fault(at(), "give it one: a file, or "+strings.Join(names, ", "), "user %q has no policy", user)
		return spec.Policy{}
	case known:
		text = builtin
	case strings.HasPrefix(strings.TrimSpace(text), "{"):
	case !strings.ContainsAny(text, "./"):
		hint := didYouMean(text, names)
		if hint == "" {
			hint = "name a file, or one of " + strings.Join(names, ", ")
		}
		c.fault(place, hint, "%q is not the name of a policy that MinIO has from the beginning", text)
		return spec.Policy{}
	default:
		var ok bool
		if text, place, ok = c.policyFile(text, place); !ok {
			return spec.Policy{}
		}
	}
	return c.parsePolicy(text, place)
}

// parsePolicy reads the JSON of a user's policy. A place without a line is a file that holds
// nothing else.
func (c *conversion) parsePolicy(text string, at place) spec.Policy {
	p, err := spec.ParsePolicy(text)
	var wrong *spec.PolicyError
	switch {
	case errors.As(err, &wrong):
		if at.line == 0 {
			at.line, at.column = wrong.Line, 1
		}
		c.fault(at, "", "cannot be read as a policy: %s", wrong.Says)
	case slices.ContainsFunc(p.Statement, func(s spec.Statement) bool { return len(s.Principal)+len(s.NotPrincipal) > 0 }):
		c.fault(at, "remove it: it speaks of the user that it is attached to", "the policy of a user has no Principal")
	}
	return p
}
