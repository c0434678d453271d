package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// document is the JSON form of a Plan: a promise to those who read it.
type document struct {
	Project     string          `json:"project"`
	Revision    spec.Revision   `json:"revision"`
	Fingerprint string          `json:"fingerprint"`
	Stages      []documentStage `json:"stages"`
	Held        []Held          `json:"held"`
}

type documentStage struct {
	Tier  string         `json:"tier"`
	Steps []documentStep `json:"steps"`
}

type documentStep struct {
	ID       int           `json:"id"`
	Verb     Verb          `json:"verb"`
	Ref      spec.Ref      `json:"ref"`
	Replaces *spec.Ref     `json:"replaces,omitempty"` // when that is another Ref
	Reason   string        `json:"reason"`
	Fields   []drift.Field `json:"fields,omitempty"`
	After    []int         `json:"after,omitempty"`
	// WithContents: what a bucket holds goes with it.
	WithContents bool `json:"with_contents,omitempty"`
	// Usage is how much it holds.
	Usage *drift.Usage `json:"usage,omitempty"`
}

// MarshalJSON writes the plan for machines. Sensitive values are masked, so a plan
// cannot be executed from its JSON; ParseFingerprint is what can be read back.
func (p Plan) MarshalJSON() ([]byte, error) { return json.Marshal(p.document()) }

func (p Plan) document() document {
	d := document{Project: p.Project, Revision: p.Revision, Fingerprint: p.Fingerprint, Stages: []documentStage{}, Held: p.Held}
	if d.Held == nil {
		d.Held = []Held{}
	}
	for _, stage := range p.Stages {
		d.Stages = append(d.Stages, stage.document())
	}
	return d
}

func (s Stage) document() documentStage {
	stage := documentStage{Tier: s.Tier}
	for _, step := range s.Steps {
		one := documentStep{ID: step.ID, Verb: step.Change.Verb(), Ref: step.Change.Ref(), Reason: step.Reason(), Fields: step.Fields, Usage: step.Usage()}
		if r, ok := step.Change.(Replace); ok && r.Have.Ref != r.Ref() {
			one.Replaces = &r.Have.Ref
		}
		if r, ok := step.Change.(Remove); ok {
			one.WithContents = r.WithContents
		}
		for _, dep := range step.After {
			one.After = append(one.After, dep.Step)
		}
		stage.Steps = append(stage.Steps, one)
	}
	return stage
}

// Reason is all causes of a step in one line.
func (s Step) Reason() string {
	text := ""
	for i, c := range s.Because {
		if i > 0 {
			text += "; "
		}
		text += c.Reason
	}
	return text
}

// ParseFingerprint reads the fingerprint and the revision out of a plan's JSON.
func ParseFingerprint(b []byte) (fingerprint string, rev spec.Revision, err error) {
	var d struct {
		Fingerprint string        `json:"fingerprint"`
		Revision    spec.Revision `json:"revision"`
	}
	err = json.Unmarshal(b, &d)
	return d.Fingerprint, d.Revision, err
}

// fingerprint digests what a plan would do and hold, and for which revision. How much is in a
// bucket is no part of that: it changes all the time.
func fingerprint(p Plan) string {
	p.Fingerprint, p.Revision.Source = "", ""
	p.Held = slices.Clone(p.Held)
	for i := range p.Held {
		p.Held[i].Usage = nil
	}
	d := p.document()
	for _, stage := range d.Stages {
		for i := range stage.Steps {
			stage.Steps[i].Usage = nil
		}
	}
	b, err := json.Marshal(d)
	if err != nil {
		panic("plan: " + err.Error()) // all its values marshal
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
