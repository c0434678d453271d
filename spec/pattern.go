package spec

import "strings"

// Pattern matches tables: by name, as in "bronze.*", or by place, as in
// "path:s3://lakehouse/raw/**". A * stands for any text without the separator (a dot in a name,
// a slash in a place), ** for any text, ? for one character that is not the separator.
type Pattern string

// Place is the pattern of a place, without the word before it; ok is false for one of a name.
func (p Pattern) Place() (text string, ok bool) { return strings.CutPrefix(string(p), "path:") }

// Matches tells whether the pattern means the table with that name at that place.
func (p Pattern) Matches(name, place string) bool {
	if text, ok := p.Place(); ok {
		return glob(tokens(text), literal(place), '/')
	}
	return name != "" && glob(tokens(string(p)), literal(name), '.')
}

// Covers tells whether every table that q matches is one that p matches too. It may miss that,
// and never says it wrongly.
func (p Pattern) Covers(q Pattern) bool {
	ours, placed := p.Place()
	theirs, theirsPlaced := q.Place()
	separator := '.'
	if placed {
		separator = '/'
	}
	return placed == theirsPlaced && glob(tokens(ours), tokens(theirs), separator)
}

// Literal is what every table that the pattern matches begins with.
func (p Pattern) Literal() string {
	text, _ := p.Place()
	if i := strings.IndexAny(text, "*?"); i >= 0 {
		return text[:i]
	}
	return text
}

// The wildcards, as numbers that no character has.
const (
	anyOne  = -1 - iota // ?
	anyRun              // *
	anyText             // **
)

// tokens are the characters of a pattern, wildcards among them.
func tokens(pattern string) []rune {
	var all []rune
	for _, r := range pattern {
		last := len(all) - 1
		switch {
		case r == '*' && last >= 0 && (all[last] == anyRun || all[last] == anyText):
			all[last] = anyText
		case r == '*':
			all = append(all, anyRun)
		case r == '?':
			all = append(all, anyOne)
		default:
			all = append(all, r)
		}
	}
	return all
}

func literal(text string) []rune { return []rune(text) }

// glob tells whether a pattern matches a text. The text may itself have wildcards: then one
// that is wide enough has to stand for each of them.
func glob(pattern, text []rune, separator rune) bool {
	// reach[j]: the pattern so far matches the first j of text.
	reach := make([]bool, len(text)+1)
	reach[0] = true
	for _, p := range pattern {
		next := make([]bool, len(text)+1)
		next[0] = reach[0] && (p == anyRun || p == anyText)
		for j, r := range text {
			switch p {
			case anyText:
				next[j+1] = reach[j+1] || next[j]
			case anyRun:
				next[j+1] = reach[j+1] || next[j] && r != separator && r != anyText
			case anyOne:
				next[j+1] = reach[j] && r != separator && r != anyRun && r != anyText
			default:
				next[j+1] = reach[j] && r == p
			}
		}
		reach = next
	}
	return reach[len(text)]
}
