package spec_test

import (
	"testing"

	"github.com/flumendata/flumen-agent/spec"
)

func TestAmountsReadAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		spec.RoughSize(0):                 "0 B",
		spec.RoughSize(1023):              "1023 B",
		spec.RoughSize(1024):              "1.0 KiB",
		spec.RoughSize(88 << 30):          "88.0 GiB",
		spec.RoughSize(412<<20 + 9):       "412 MiB",
		spec.RoughSize(3 << 60):           "3072 PiB",
		spec.Size(500 << 30):              "500GiB",
		spec.Size(1025):                   "1025B",
		spec.Counted(1, "object"):         "1 object",
		spec.Counted(0, "object"):         "0 objects",
		spec.Counted(999, "object"):       "999 objects",
		spec.Counted(1_204_000, "object"): "1,204,000 objects",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
