package s3

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/reconciler/plan"
	"github.com/flumendata/flumen-agent/spec"
)

// The policies that the agent makes are called so, then ".PROJECT.USER". They tell whose a
// user is, and whether it was there before: what the agent did not make it never removes.
const (
	madeMark    = "flumen"
	adoptedMark = "flumen-adopted"
)

// mark is the name of a policy that belongs to one user.
type mark struct {
	made    bool // the agent made the user
	project string
	user    string
}

func (m mark) String() string {
	if m.made {
		return madeMark + "." + m.project + "." + m.user
	}
	return adoptedMark + "." + m.project + "." + m.user
}

// parseMark reads the name of a policy. A project has no dot in its name, a user may.
func parseMark(policy string) (m mark, ok bool) {
	words := strings.SplitN(policy, ".", 3)
	if len(words) < 3 || words[0] != madeMark && words[0] != adoptedMark {
		return mark{}, false
	}
	return mark{words[0] == madeMark, words[1], words[2]}, true
}

// before tells which of two marks of a user counts: that of the project, that of who made it,
// or else any, but always the same.
func (m mark) before(o mark, project string) bool {
	switch {
	case (m.project == project) != (o.project == project):
		return m.project == project
	case m.made != o.made:
		return m.made
	}
	return m.project < o.project
}

// markOf finds the mark of a user: of the project if there is one, else of another.
func markOf(policies map[string]json.RawMessage, project, user string) (found mark, marked bool) {
	for name := range policies {
		m, ok := parseMark(name)
		if ok && m.user == user && (!marked || m.before(found, project)) {
			found, marked = m, true
		}
	}
	return found, marked
}

// account is a user of a store as it is.
type account struct {
	there    bool
	attached []string // the names of policies
	found    drift.Found
	mark     mark // the zero mark: there is none
}

// seen is what an observation says of it.
func (one account) seen() *drift.Found {
	if !one.there {
		return nil
	}
	return &one.found
}

// account looks at a user of the spec.
func (c *connection) account(ctx context.Context, a *spec.Access, policies map[string]json.RawMessage) (account, error) {
	info, err := c.user(ctx, a.User)
	if err != nil || info == nil {
		return account{}, err
	}
	one := account{there: true, attached: strings.FieldsFunc(info.PolicyName, func(r rune) bool { return r == ',' })}
	one.mark, _ = markOf(policies, c.project, a.User)
	one.found = drift.Found{Ref: a.Ref(), ID: c.id(a.User), State: drift.Present, Owned: true, Fields: spec.Fields{}, Blind: map[string]string{}}
	if one.mark.project == c.project {
		one.found.Fields["owner"] = spec.Plain(c.project)
	}
	one.readPolicies(policies)
	if info.Status != "enabled" {
		one.found.Fields["enabled"] = spec.Plain("false")
		one.found.Blind["secret"] = "nobody can tell whether the secret of a disabled user is right"
	} else if err := one.trySecret(ctx, c, a); err != nil {
		return account{}, err
	}
	one.found.Note = one.foreign(c, a)
	one.found.Owned = one.found.Note == ""
	return one, nil
}

// readPolicies gives the user the field with what it may do: what all attached policies
// together allow and deny.
func (one *account) readPolicies(policies map[string]json.RawMessage) {
	var all []spec.Policy
	for _, name := range one.attached {
		text, there := policies[name]
		if !there {
			continue // a name of nothing gives no right
		}
		p, err := spec.ParsePolicy(string(text))
		if err != nil {
			one.found.Blind["policy"] = fmt.Sprintf("policy %s cannot be understood: %v", name, err)
			return
		}
		all = append(all, p)
	}
	if sum := spec.JoinPolicies(all...); !sum.IsZero() {
		one.found.Fields["policy"] = spec.Plain(sum.String())
	}
}

// trySecret gives an enabled user its secret as a field if that opens the store.
func (one *account) trySecret(ctx context.Context, c *connection, a *spec.Access) error {
	one.found.Fields["enabled"] = spec.Plain("true")
	right, err := c.opens(ctx, a.User, a.Secret.Reveal())
	one.found.Fields["secret"] = spec.Sensitive("")
	if right {
		one.found.Fields["secret"] = a.Secret.Hide()
	}
	return err
}

// foreign says why a user is not ours to change, "" if it is: we marked it, or nobody did and
// the spec knows its secret.
func (one *account) foreign(c *connection, a *spec.Access) string {
	switch {
	case one.mark.project == c.project:
		return ""
	case one.mark.project != "":
		return fmt.Sprintf("the user %s of the store %s belongs to the project %s", a.User, c.store.Name, one.mark.project)
	case one.found.Fields["secret"].Equal(a.Secret):
		return ""
	}
	return fmt.Sprintf("the store %s has a user %s already that the agent did not make, and stores.%s.access.%s.secret_key is not its secret",
		c.store.Name, a.User, c.store.Name, a.User)
}

// grant sees to it that a user is there as it should be. One that was found is still there.
func (c *connection) grant(ctx context.Context, a *spec.Access, found *drift.Found) error {
	policies, err := c.policies(ctx)
	if err != nil {
		return err
	}
	one, err := c.account(ctx, a, policies)
	switch {
	case err != nil:
		return err
	case found != nil && (!one.there || one.found.ID != found.ID):
		return plan.ErrStale
	case one.there && !one.found.Owned:
		return errors.New(one.found.Note + ", and it is left alone")
	}
	// The mark comes first, so that a user which was made is never without one.
	name := mark{!one.there || one.mark.made, c.project, a.User}.String()
	want, have := a.Fields(), one.found.Fields
	rights := have["policy"].Equal(want["policy"])
	if !rights || !have["owner"].Equal(want["owner"]) {
		if err := c.setPolicy(ctx, name, a.Policy.String()); err != nil {
			return err
		}
	}
	if !have["secret"].Equal(want["secret"]) { // nor is that of one which is disabled or not there
		if err := c.setUser(ctx, a.User, a.Secret.Reveal()); err != nil {
			return err
		}
	}
	if rights {
		return nil
	}
	return c.attach(ctx, a.User, name)
}

// errNotMade refuses to remove what is not ours to remove.
var errNotMade = errors.New("the agent did not make this user, and never removes it")

// revoke removes a user that left the spec, and its policy. One that the agent did not make
// is an error.
func (c *connection) revoke(ctx context.Context, user string) error {
	policies, err := c.policies(ctx)
	if err != nil {
		return err
	}
	m, marked := markOf(policies, c.project, user)
	switch {
	case !marked:
		return nil
	case m.project != c.project:
		return errNotMade
	case m.made:
		err = c.removeUser(ctx, user)
	default:
		var info *userInfo
		if info, err = c.user(ctx, user); info != nil {
			return errNotMade
		}
	}
	if err != nil {
		return err
	}
	return c.removePolicy(ctx, m.String()) // last, for it is what tells whose the user was
}
