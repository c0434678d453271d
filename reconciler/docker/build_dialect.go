package docker

import (
	"cmp"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/flumendata/flumen-agent/spec"
)

// dialect is what has to be known of a Dockerfile before it is built. The classic
// builder is used wherever it can be: every engine has it, and it gets credentials with
// the request. What only BuildKit understands goes to BuildKit.
type dialect struct {
	needsBuildKit bool
	heredoc       bool     // which engines before 23 do not know by themselves
	images        []string // the images it is built from and with, as far as they can be told
}

var (
	continued   = regexp.MustCompile(`[\\` + "`" + `][ \t]*\r?\n`)
	syntaxLine  = regexp.MustCompile(`(?im)^#[ \t]*syntax[ \t]*=[ \t]*(\S+)`)
	kitFlag     = regexp.MustCompile(`(?im)^[ \t]*(RUN|COPY|ADD)[ \t]+(--\S+[ \t]+)*--(mount|network|security|link|chmod|parents|exclude|checksum|keep-git-dir|unpack|device)\b`)
	heredocMark = regexp.MustCompile(`(?im)^[ \t]*(RUN|COPY|ADD)\b.*(^|[^<])<<-?["']?[A-Z_]`)
	platformArg = regexp.MustCompile(`(?im)^[ \t]*ARG[ \t]+(TARGET|BUILD)(PLATFORM|OS|ARCH|VARIANT)\b`)
	argLine     = regexp.MustCompile(`(?im)^[ \t]*ARG[ \t]+(\w+)(?:=["']?([^"'\s]*))?`)
	imageUse    = regexp.MustCompile(`(?im)^[ \t]*(FROM)[ \t]+(?:--\S+[ \t]+)*(\S+)(?:[ \t]+AS[ \t]+(\S+))?|^[ \t]*COPY\b.*[ \t]--from=(\S+)`)
	stageNumber = regexp.MustCompile(`^\d+$`)
)

func readDialect(dockerfile []byte, args map[string]spec.Value) dialect {
	text := continued.ReplaceAllString(string(dockerfile), " ")
	syntax, heredoc := syntaxLine.FindStringSubmatch(text), heredocMark.MatchString(text)
	d := dialect{heredoc: heredoc && syntax == nil, images: imagesIn(text, args)}
	d.needsBuildKit = heredoc || syntax != nil || kitFlag.MatchString(text) || platformArg.MatchString(text)
	if syntax != nil {
		d.images = append(d.images, syntax[1])
	}
	return d
}

// imagesIn lists the images that FROM and COPY --from name, with the arguments put in.
// One that depends on an argument without a value is left out.
func imagesIn(text string, args map[string]spec.Value) []string {
	known := argumentsOf(text, args)
	stages := []string{"scratch"}
	var all []string
	for _, use := range imageUse.FindAllStringSubmatch(text, -1) {
		name := os.Expand(cmp.Or(use[2], use[4]), func(arg string) string { return known[arg] })
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
func argumentsOf(text string, args map[string]spec.Value) map[string]string {
	known := map[string]string{}
	for _, arg := range argLine.FindAllStringSubmatch(text, -1) {
		known[arg[1]] = arg[2]
	}
	for name, value := range args {
		known[name] = value.Reveal()
	}
	return known
}
