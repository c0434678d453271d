package spec

import (
	"cmp"
	"slices"
)

// Access is a user of a store and what it may do there: MinIO's own kind of user, with an
// access key, a secret key and a policy that is attached to it and to nobody else.
type Access struct {
	User   string // also its access key
	Owner  string // the project
	Secret Value  // its secret key
	Policy Policy
	Store  *Store // shared with the store's other users and buckets
	// Depends are the instances of the service that serves the store.
	Depends []Dep
}

// Ref is "access/STORE.USER".
func (a *Access) Ref() Ref { return Ref{KindAccess, a.Store.Name + "." + a.User} }

// After lists what serves the store.
func (a *Access) After() []Dep {
	return slices.SortedFunc(slices.Values(a.Depends), func(b, c Dep) int {
		return cmp.Or(b.Ref.Compare(c.Ref), cmp.Compare(b.Until, c.Until))
	})
}

// Fields describes what the user is asked to be. A secret that no longer opens the store
// has another value there than here. A user that was there before has no owner, until it is
// marked as the project's.
func (a *Access) Fields() Fields {
	return Fields{
		"enabled": Plain("true"),
		"owner":   Plain(a.Owner),
		"policy":  Plain(a.Policy.String()),
		"secret":  a.Secret.Hide(),
	}
}

func (*Access) resource() {}

// BuiltinPolicies are those that a MinIO server has from the beginning, but for those that
// let a user administer it.
var BuiltinPolicies = map[string]string{
	"readonly":  `{"Statement": {"Effect": "Allow", "Action": ["s3:GetBucketLocation", "s3:GetObject"], "Resource": "arn:aws:s3:::*"}}`,
	"writeonly": `{"Statement": {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::*"}}`,
	"readwrite": `{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::*"}}`,
}
