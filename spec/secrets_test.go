package spec_test

import (
	"testing"

	"github.com/flumendata/flumen-agent/spec"
)

func TestFieldThatHoldsAKnownSecretIsSensitive(t *testing.T) {
	t.Parallel()
	s := &spec.Service{
		Name: "web", Number: 1, Container: "p-web-1", Image: "web:1",
		Command: []string{"run", "--password=hunter22"},
		Labels:  map[string]string{"note": "hunter22", "team": "data"},
		Health:  &spec.Health{Test: []string{"CMD", "check", "hunter22"}},
		Secrets: []spec.Value{spec.Sensitive("hunter22")},
	}
	f := s.Fields()
	for name, hidden := range map[string]bool{"command": true, "label.note": true, "healthcheck.test": true, "label.team": false, "name": false} {
		if f[name].IsSensitive() != hidden {
			t.Errorf("%s: sensitive %v", name, !hidden)
		}
	}
}
