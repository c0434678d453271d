package s3

import (
	"context"
	"encoding/json"

	"golang.org/x/sync/errgroup"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// seeUsers looks at the users of the spec, and at those of ours that left it. A server which
// does not say that it is MinIO is asked only when the spec has users for it.
func (l *look) seeUsers(ctx context.Context, c *connection) {
	if len(l.users) == 0 && c.heard.server() != serverMinIO {
		return
	}
	policies, err := again(ctx, l.retries(), func() (map[string]json.RawMessage, error) { return c.policies(ctx) })
	if err != nil {
		l.blindUsers(err)
		return
	}
	var g errgroup.Group
	g.SetLimit(atOnce)
	for _, a := range l.users {
		g.Go(func() error {
			one, err := again(ctx, l.retries(), func() (account, error) {
				if err := l.silence(); err != nil {
					return account{}, err
				}
				return c.account(ctx, a, policies)
			})
			l.note(a.Ref(), one.seen(), err)
			return nil
		})
	}
	_ = g.Wait() // what goes wrong is noted of each user
	for name := range policies {
		if m, ok := parseMark(name); ok && m.project == c.project && l.users[m.user] == nil {
			l.seeLeft(ctx, c, m)
		}
	}
}

// seeLeft looks at a user of ours that the spec does not name any more. Of one that was there
// before the agent, and is gone, only the mark is left.
func (l *look) seeLeft(ctx context.Context, c *connection, m mark) {
	ref := (&spec.Access{User: m.user, Store: l.store}).Ref()
	found := &drift.Found{
		Ref: ref, ID: c.id(m.user), Owned: true, State: drift.Present, Fields: spec.Fields{"owner": spec.Plain(m.project)},
	}
	if !m.made {
		info, err := c.user(ctx, m.user)
		if err != nil {
			l.note(ref, nil, err)
			return
		}
		found.Adopted = info != nil
	}
	l.note(ref, found, nil)
}

// blindUsers notes of every user of the spec why it could not be looked at.
func (l *look) blindUsers(why error) {
	for _, a := range l.users {
		l.note(a.Ref(), nil, why)
	}
}
