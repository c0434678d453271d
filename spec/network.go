package spec

import "strconv"

// Network is a network of the project, or an external one that it uses.
type Network struct {
	Key        string // its name in the file
	Name       string // its name on the engine
	External   bool   // somebody else's: it must be there, and is never touched
	Driver     string
	DriverOpts map[string]string
	Internal   bool
	Attachable bool
	EnableIPv6 bool
	IPAMDriver string
	Subnets    []Subnet
	Labels     map[string]string
	Secrets    []Value // known texts that must not be shown
}

// Subnet is one address range of a network.
type Subnet struct{ Subnet, Gateway, IPRange string }

// Ref is "network/KEY".
func (n *Network) Ref() Ref { return Ref{KindNetwork, n.Key} }

// After is empty: a network needs nothing.
func (n *Network) After() []Dep { return nil }

// Fields describes the network as the engine can tell it; of an external one
// only that it is there.
func (n *Network) Fields() Fields {
	f := Fields{}
	if n.External {
		return f
	}
	f.set("driver", n.Driver)
	for k, v := range n.DriverOpts {
		f["option."+k] = Plain(v)
	}
	f.flag("internal", n.Internal)
	f.flag("attachable", n.Attachable)
	f.flag("ipv6", n.EnableIPv6)
	f.set("ipam", n.IPAMDriver)
	for i, s := range n.Subnets {
		prefix := "subnet." + strconv.Itoa(i)
		f.set(prefix, s.Subnet)
		f.set(prefix+".gateway", s.Gateway)
		f.set(prefix+".range", s.IPRange)
	}
	for k, v := range n.Labels {
		f["label."+k] = Plain(v)
	}
	f.hide(n.Secrets)
	return f
}

func (*Network) resource() {}
