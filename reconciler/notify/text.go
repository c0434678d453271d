package notify

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// mostText is how long the text of a message is at most, in characters: Discord takes 2,000.
	mostText = 1900
	// fewThings and fewLines are how many things a text names, and how many lines of a log it
	// quotes: it is read on a phone. The JSON of a webhook has more.
	fewThings = 5
	fewLines  = 10
)

// Text is a message for people to read: what changed, why, who committed it, and the last
// lines of what failed.
func (m Message) Text() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s", m.Summary)
	line("")
	if m.Before != "" {
		line("Condition: %s, before: %s", m.Condition, m.Before)
	}
	line("Revision: %s", revisionLine(m))
	line("Cause: %s", m.Trigger)
	if m.Fault != "" {
		line("Fault: %s", m.Fault)
	}
	for _, s := range few(m.Failures) {
		line("%s %s (%s): %s", s.Verb, s.Ref, s.Outcome, s.Error)
		for _, text := range s.Log[max(0, len(s.Log)-fewLines):] {
			line("    %s", text)
		}
	}
	for _, h := range few(m.Held) {
		line("held: %s: %s", h.Ref, h.Reason)
	}
	for _, d := range few(m.Differences) {
		line("%s: %s%s", d.Verdict, d.Ref, because(d.Reason))
	}
	return harmless(bounded(strings.TrimSpace(b.String())))
}

// revisionLine says what the message is about and who has committed it.
func revisionLine(m Message) string {
	rev := m.Revision
	if m.Condition == Quarantined {
		rev = m.Wanted // the one that failed, though an earlier one is in force again
	}
	text := rev.Short()
	if rev.Subject != "" {
		text += fmt.Sprintf(" %q", rev.Subject)
	}
	if rev.Author != "" {
		text += " by " + rev.Author
	}
	return text
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}

func few[L ~[]E, E any](list L) L { return list[:min(len(list), fewThings)] }

// bounded is the beginning of a text.
func bounded(text string) string {
	if utf8.RuneCountInString(text) <= mostText {
		return text
	}
	return string([]rune(text)[:mostText]) + "…"
}

// harmless takes from a text what calls everybody of a chat: it quotes commits and logs, which
// others write.
func harmless(text string) string {
	const nothing = "\u200b" // of no width
	return strings.NewReplacer("@everyone", "@"+nothing+"everyone", "@here", "@"+nothing+"here", "@channel", "@"+nothing+"channel", "@all", "@"+nothing+"all",
		"<!", "<"+nothing+"!", "<@", "<"+nothing+"@").Replace(text)
}
