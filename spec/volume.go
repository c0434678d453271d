package spec

// Volume is a named volume of the project, or an external one that it uses.
type Volume struct {
	Key        string // its name in the file
	Name       string // its name on the engine
	External   bool   // somebody else's: it must be there, and is never touched
	Driver     string
	DriverOpts map[string]string
	Labels     map[string]string
	Secrets    []Value // known texts that must not be shown
}

// Ref is "volume/KEY".
func (v *Volume) Ref() Ref { return Ref{KindVolume, v.Key} }

// After is empty: a volume needs nothing.
func (v *Volume) After() []Dep { return nil }

// Fields describes the volume as the engine can tell it; of an external one only
// that it is there.
func (v *Volume) Fields() Fields {
	f := Fields{}
	if v.External {
		return f
	}
	f.set("driver", v.Driver)
	for k, o := range v.DriverOpts {
		f["option."+k] = Plain(o)
	}
	for k, l := range v.Labels {
		f["label."+k] = Plain(l)
	}
	f.hide(v.Secrets)
	return f
}

func (*Volume) resource() {}
