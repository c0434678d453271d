package plan

import (
	"fmt"
	"time"

	"github.com/flumendata/flumen-agent/drift"
	"github.com/flumendata/flumen-agent/spec"
)

// answerLeft answers a bucket that no tier declares any more: it goes only with the consent of
// a person, which has to count at the time of the look. The reason is that of the change, or
// of the rule.
func (b *builder) answerLeft(d drift.Difference) (c Change, rule, reason string) {
	asked, given, contents := false, false, false
	for _, one := range b.want.Consents {
		if one.Remove == d.Ref {
			counts := !b.have.At.IsZero() && b.have.At.Before(one.Until)
			asked, given, contents = true, given || counts, contents || counts && one.WithContents
		}
	}
	switch {
	case contents:
		return Remove{Have: *d.Have, WithContents: true}, "", "no tier declares it, and consent lets it go with all that is in it"
	case given:
		return Remove{Have: *d.Have}, "", "no tier declares it, and consent lets it go if it is empty"
	case asked:
		return nil, RuleData, "no tier declares it, and the consent to remove it has ended; " + b.consentTo(d.Ref)
	}
	return nil, RuleData, "no tier declares it, and what holds data is never removed unasked; " + b.consentTo(d.Ref)
}

// consentTo says what a person writes who wants a bucket to go.
func (b *builder) consentTo(ref spec.Ref) string {
	return fmt.Sprintf("if that is meant, say so in the spec: consent: [{remove: %s, until: %s}], and with_contents: true in it unless it is empty",
		ref, b.have.At.AddDate(0, 0, 1).Format(time.DateOnly))
}
