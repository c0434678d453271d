package docker

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/docker/pkg/jsonmessage"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/flumendata/flumen-agent/reconciler/plan"
)

// tailLines is how much of a failed build's output is shown.
const tailLines = 20

// lines keeps the end of an output that comes in pieces.
type lines struct{ last []string }

func (l *lines) add(text string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			l.last = append(l.last, line)
		}
	}
	l.last = l.last[max(0, len(l.last)-tailLines):]
}

func (l *lines) tail() []string { return slices.Clone(l.last) }

// classicLog follows the classic builder.
type classicLog struct {
	lines
	to   plan.Progress
	base *pullProgress
}

func newClassicLog(to plan.Progress) *classicLog {
	return &classicLog{to: to, base: newPullProgress(to)}
}

var classicStep = regexp.MustCompile(`^Step (\d+)/(\d+) : (.*)`)

// take counts "Step 3/7 : RUN make", and shows the pull of the base image.
func (c *classicLog) take(m jsonmessage.JSONMessage) {
	if m.Stream == "" {
		c.base.take(m)
		return
	}
	c.add(m.Stream)
	if step := classicStep.FindStringSubmatch(m.Stream); step != nil {
		n, _ := strconv.ParseInt(step[1], 10, 64) // digits by the pattern
		of, _ := strconv.ParseInt(step[2], 10, 64)
		c.to.Doing("building: "+brief(step[3]), n-1, of)
	}
}

// buildKitLog follows BuildKit, which tells of its work in protobuf: see StatusResponse
// in api/services/control/control.proto of moby/buildkit.
type buildKitLog struct {
	lines
	to    plan.Progress
	names map[string]string // of the steps, by digest
	done  map[string]bool
}

func newBuildKitLog(to plan.Progress) *buildKitLog {
	return &buildKitLog{to: to, names: map[string]string{}, done: map[string]bool{}}
}

const buildKitTrace = "moby.buildkit.trace"

// The fields that are read of the messages of StatusResponse.
const (
	statusVertex, statusLog                                  = 1, 3
	vertexDigest, vertexName, vertexStarted, vertexCompleted = 1, 3, 5, 6
	logText                                                  = 4
)

func (b *buildKitLog) take(m jsonmessage.JSONMessage) {
	var status []byte
	if m.ID != buildKitTrace || m.Aux == nil || json.Unmarshal(*m.Aux, &status) != nil {
		return
	}
	for _, part := range protobufFields(status) {
		switch part.number {
		case statusVertex:
			b.vertex(protobufFields(part.bytes))
		case statusLog:
			for _, f := range protobufFields(part.bytes) {
				if f.number == logText {
					b.add(string(f.bytes))
				}
			}
		}
	}
}

// vertex takes one step's state. Steps of BuildKit's own are left out of the count.
func (b *buildKitLog) vertex(fields []protobufField) {
	var digest, name string
	var started, completed bool
	for _, f := range fields {
		switch f.number {
		case vertexDigest:
			digest = string(f.bytes)
		case vertexName:
			name = string(f.bytes)
		case vertexStarted:
			started = true
		case vertexCompleted:
			completed = true
		}
	}
	if !strings.HasPrefix(name, "[") || strings.HasPrefix(name, "[internal]") {
		return
	}
	if _, known := b.names[digest]; !known {
		b.add(name)
	}
	b.names[digest], b.done[digest] = name, completed
	if started && !completed {
		b.to.Doing("building: "+brief(name), b.finished(), int64(len(b.names)))
	}
}

func (b *buildKitLog) finished() (n int64) {
	for _, done := range b.done {
		if done {
			n++
		}
	}
	return n
}

// protobufField is one length-delimited field of a message.
type protobufField struct {
	number protowire.Number
	bytes  []byte
}

// protobufFields splits a message. What does not parse ends it: a progress that cannot be
// read is no reason to fail a build.
func protobufFields(message []byte) (all []protobufField) {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return all
		}
		size := protowire.ConsumeFieldValue(number, kind, message[n:])
		if size < 0 {
			return all
		}
		if kind == protowire.BytesType {
			value, _ := protowire.ConsumeBytes(message[n:])
			all = append(all, protobufField{number, value})
		}
		message = message[n+size:]
	}
	return all
}

// brief is the beginning of an instruction, on one line.
func brief(instruction string) string {
	const most = 60
	runes := []rune(strings.Join(strings.Fields(instruction), " "))
	if len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return string(runes)
}
