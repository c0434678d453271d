package spec

import (
	"fmt"
	"strconv"
	"strings"
)

// Kind is a sort of resource.
type Kind string

// The kinds of resource the agent knows.
const (
	KindImage   Kind = "image"
	KindNetwork Kind = "network"
	KindVolume  Kind = "volume"
	KindService Kind = "service"
	KindBucket  Kind = "bucket"
	KindAccess  Kind = "access"
)

// KindTable is the kind of a Ref that names a Delta table, by its name or its place. Tables are no
// resources: nobody makes or changes one.
const KindTable Kind = "table"

// Inside tells whether things of this kind live inside a service, or else in a store that is
// somewhere else: only when that is ready can anybody know whether they are there.
func (k Kind) Inside() bool { return k == KindBucket || k == KindAccess }

// Ref names one thing of a project: "service/trino", "volume/postgres_data".
// Each instance of a scaled service has a Ref of its own: the first is
// "service/worker", the second "service/worker#2". A Ref without a Name speaks
// of the whole kind.
type Ref struct {
	Kind Kind
	Name string
}

// InstanceRef is the Ref of instance number n (from 1) of a service.
func InstanceRef(service string, n int) Ref {
	if n <= 1 {
		return Ref{KindService, service}
	}
	return Ref{KindService, service + "#" + strconv.Itoa(n)}
}

// ParseRef reads what Ref.String prints.
func ParseRef(s string) (Ref, error) {
	kind, name, ok := strings.Cut(s, "/")
	if !ok || kind == "" || name == "" {
		return Ref{}, fmt.Errorf("%q is not a reference: write kind/name, as in service/trino", s)
	}
	return Ref{Kind(kind), name}, nil
}

// Service is the name of the service that an instance belongs to: "worker" of
// "service/worker#2".
func (r Ref) Service() string {
	name, _, _ := strings.Cut(r.Name, "#")
	return name
}

func (r Ref) String() string {
	if r.Name == "" {
		return string(r.Kind)
	}
	return string(r.Kind) + "/" + r.Name
}

// MarshalText writes a Ref as in "service/trino", also as a key of a JSON object.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (r *Ref) UnmarshalText(b []byte) (err error) {
	if !strings.Contains(string(b), "/") {
		*r = Ref{Kind: Kind(b)}
		return nil
	}
	*r, err = ParseRef(string(b))
	return err
}

// Compare orders Refs by kind, then by name.
func (r Ref) Compare(o Ref) int {
	if c := strings.Compare(string(r.Kind), string(o.Kind)); c != 0 {
		return c
	}
	return strings.Compare(r.Name, o.Name)
}
