package compose

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// readEnvironment reads the variables of the root: env_file, or .env.
func (l *load) readEnvironment(n *yaml.Node) {
	if _, given := get(n, "env_file"); !given {
		file := filepath.Join(l.dir, ".env")
		l.Files = append(l.Files, file)
		if exists(file) {
			l.env = l.addEnvironment(l.env, place{file: l.shown(file)}, file)
		}
		return
	}
	var files []string
	for _, f := range texts(n, "env_file") {
		file := abs(l.dir, l.substitute(f.Value, l.env, l.main.at(f)))
		if l.envFile(file, l.main.at(f)) {
			files = append(files, file)
		}
	}
	l.env = l.addEnvironment(l.env, l.main.at(nil), files...)
}

// envFile tells whether an env file that is asked for is there.
func (l *load) envFile(file string, at place) bool {
	if l.outside(file, at, "env_file") {
		l.broken = true
		return false
	}
	l.Files = append(l.Files, file)
	if !exists(file) {
		l.fault(at, "make it, or remove it from env_file", "env_file %s does not exist", l.shown(file))
		l.broken = true
		return false
	}
	return true
}

// addEnvironment reads env files; of two, the later one wins, as in Compose.
func (l *load) addEnvironment(env environment, at place, files ...string) environment {
	more, err := l.environmentOf(env, at, files)
	if err != nil {
		l.envFault(at, err)
		l.broken = true
	}
	for _, file := range files {
		if !isSealed(file) {
			l.checkAsked(file, "", more.lookup)
		}
	}
	return more
}

// envLine is how compose-go says what is wrong with an env file.
var envLine = regexp.MustCompile(`failed to read (.+): line (\d+): (.+)`)

// envFault says what is wrong with an env file, where it is wrong, and nothing of
// what the file holds: compose-go quotes it, passwords and all.
func (l *load) envFault(at place, err error) {
	m := envLine.FindStringSubmatch(err.Error())
	if m == nil {
		l.fault(at, "", "an env file cannot be read: %v", reason(err))
		return
	}
	line, _ := strconv.Atoi(m[2])
	says := "is not NAME=value"
	switch {
	case strings.HasPrefix(m[3], "unterminated"):
		says = "a quoted value above does not end"
	case strings.HasPrefix(m[3], "key cannot"):
		says = "a name cannot contain a space"
	}
	l.fault(place{l.shown(m[1]), line, 1}, "", "%s", says)
}
