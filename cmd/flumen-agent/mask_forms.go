package main

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
)

const (
	// shortestSecret is the shortest text that is looked for.
	shortestSecret = 4
	// shortestLine is the shortest line of a secret of several lines that is looked
	// for by itself, as a log shows it. Shorter ones are brackets and the like.
	shortestLine = 8
)

// formsOf gives the texts in which a secret may show up: as it is, and as programs
// quote and encode it.
func formsOf(secret string) []string {
	if secret = strings.TrimSpace(secret); len(secret) < shortestSecret {
		return nil
	}
	var forms []string
	for _, write := range writings {
		forms = append(forms, write(secret))
	}
	forms = append(forms, base64Forms(secret)...)
	if lines := strings.Split(secret, "\n"); len(lines) > 1 {
		for _, line := range lines {
			if line = strings.TrimSpace(line); len(line) >= shortestLine {
				forms = append(forms, formsOf(line)...)
			}
		}
	}
	return forms
}

// writings are the ways in which programs write a text, without the quotes around it.
var writings = []func(string) string{
	func(s string) string { return s },
	url.QueryEscape,
	url.PathEscape,
	func(s string) string { return strings.TrimPrefix(url.UserPassword("", s).String(), ":") },
	jsonEscape,
	func(s string) string { // JSON without the escapes that HTML needs
		return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(jsonEscape(s))
	},
	func(s string) string { return inner(strconv.Quote(s)) },
	func(s string) string { return inner(strconv.QuoteToASCII(s)) },
	replaced(`'`, `'\''`),  // in single quotes of a shell
	replaced(`'`, `'"'"'`), // the same, as Python's shlex has it
	replaced(`'`, `''`),    // in single quotes of YAML and SQL
	replaced(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`"), // in double quotes of a shell
	replaced(`$`, `$$`), // in a Compose file
	func(s string) string { return shellSpecial.Replace(s) }, // without quotes in a shell
}

// shellSpecial puts a backslash before what means something to a shell.
var shellSpecial = func() *strings.Replacer {
	var pairs []string
	for _, c := range " \t|&;<>()$`\\\"'*?[]#~=%!{}^," {
		pairs = append(pairs, string(c), `\`+string(c))
	}
	return strings.NewReplacer(pairs...)
}()

func replaced(pairs ...string) func(string) string {
	return strings.NewReplacer(pairs...).Replace
}

func jsonEscape(s string) string {
	b, _ := json.Marshal(s) // a string can always be marshalled
	return inner(string(b))
}

// inner is a quoted text without its quotes.
func inner(quoted string) string { return quoted[1 : len(quoted)-1] }

// base64Forms gives what a secret looks like in base64, by itself or in the middle of
// something (user:password): it depends on how many bytes stand before it, and the
// characters that its neighbours have a part in are left out.
func base64Forms(secret string) []string {
	var forms []string
	for before, skip := range []int{0, 2, 3} {
		text := append(make([]byte, before), secret...)
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			if form := encoding.EncodeToString(text)[skip : len(text)*8/6]; len(form) >= shortestSecret {
				forms = append(forms, form)
			}
		}
	}
	return forms
}
