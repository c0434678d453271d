package spec

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// What a Dockerfile has to be read for, without being built.
var (
	continuedLine = regexp.MustCompile(`[\\` + "`" + `][ \t]*\r?\n`)
	argLine       = regexp.MustCompile(`(?im)^[ \t]*ARG[ \t]+(\w+)(?:=["']?([^"'\s]*))?`)
	imageUse      = regexp.MustCompile(`(?im)^[ \t]*(FROM)[ \t]+(?:--\S+[ \t]+)*(\S+)(?:[ \t]+AS[ \t]+(\S+))?|^[ \t]*COPY\b.*[ \t]--from=(\S+)`)
	argUse        = regexp.MustCompile(`\$(?:(\w+)|\{(\w+)(?::?-([^}]*))?\})`)
	stageNumber   = regexp.MustCompile(`^\d+$`)
)

// ImagesOf lists the images that FROM and COPY --from of a Dockerfile name, with the
// arguments put in. One that depends on an argument without a value is left out.
func ImagesOf(dockerfile string, args map[string]Value) []string {
	text := continuedLine.ReplaceAllString(dockerfile, " ")
	known := argumentsOf(text, args)
	stages := []string{"scratch"}
	var all []string
	for _, use := range imageUse.FindAllStringSubmatch(text, -1) {
		name := expand(cmp.Or(use[2], use[4]), known)
		complete := !strings.HasSuffix(name, ":") && name != ""
		if complete && !slices.Contains(stages, strings.ToLower(name)) && !stageNumber.MatchString(name) && !slices.Contains(all, name) {
			all = append(all, name)
		}
		if stage := strings.ToLower(use[3]); stage != "" {
			stages = append(stages, stage)
		}
	}
	return all
}

// argumentsOf are the values of ARG, as given or as the Dockerfile has them.
func argumentsOf(text string, args map[string]Value) map[string]string {
	known := map[string]string{}
	for _, arg := range argLine.FindAllStringSubmatch(text, -1) {
		known[arg[1]] = arg[2]
	}
	for name, value := range args {
		known[name] = value.Reveal()
	}
	return known
}

// expand puts arguments into a text: $NAME, ${NAME} and ${NAME:-default}.
func expand(text string, known map[string]string) string {
	return argUse.ReplaceAllStringFunc(text, func(use string) string {
		part := argUse.FindStringSubmatch(use)
		return cmp.Or(known[cmp.Or(part[1], part[2])], part[3])
	})
}
