package compose

import (
	"regexp"
	"strings"
)

// What compose-go and its decoder write about paths of the model.
var (
	indexed      = regexp.MustCompile(`(services|networks|volumes|configs|secrets)\[([\w.-]+)\]`)
	namesPath    = regexp.MustCompile(`(services|networks|volumes|configs|secrets)\.([\w-]+)((?:\.[\w-]+|\[\d+\])*)`)
	namesService = regexp.MustCompile(`service "?([\w.-]+)"?`)
)

// composeFault is what compose-go found, each line where its words point to.
func (l *load) composeFault(tier int, err error) {
	says := indexed.ReplaceAllString(err.Error(), "$1.$2")
	if _, list, ok := strings.Cut(says, "following error(s):"); ok {
		for line := range strings.Lines(list) {
			if line = strings.TrimSpace(line); line != "" {
				l.fault(l.pointed(tier, line), "", "%s", line)
			}
		}
		return
	}
	l.fault(l.pointed(tier, says), "", "%s", strings.Join(strings.Fields(says), " "))
}

// pointed is the place that a message speaks of.
func (l *load) pointed(tier int, says string) place {
	if m := namesPath.FindStringSubmatch(says); m != nil {
		rest := strings.FieldsFunc(m[3], func(r rune) bool { return strings.ContainsRune(".[]", r) })
		return l.where(tier, append([]string{m[1], m[2]}, rest...)...)
	}
	if m := namesService.FindStringSubmatch(says); m != nil {
		return l.where(tier, "services", m[1])
	}
	return l.where(tier, "services")
}
