package docker

import (
	"regexp"

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
)

func readDialect(dockerfile []byte, args map[string]spec.Value) dialect {
	text := continued.ReplaceAllString(string(dockerfile), " ")
	syntax, heredoc := syntaxLine.FindStringSubmatch(text), heredocMark.MatchString(text)
	d := dialect{heredoc: heredoc && syntax == nil, images: spec.ImagesOf(text, args)}
	d.needsBuildKit = heredoc || syntax != nil || kitFlag.MatchString(text) || platformArg.MatchString(text)
	if syntax != nil {
		d.images = append(d.images, syntax[1])
	}
	return d
}
