// Package control takes over HTTP what people may ask of an agent: to pause, resume, apply or
// go back. Whoever asks comes with a token, and each token has the name of somebody, which
// the history keeps.
//
// It decides nothing but who may ask: what is asked for is the agent's to do.
package control

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/flumendata/flumen-agent/reconciler"
)

const (
	// shortestToken is the least that cannot be guessed, in characters.
	shortestToken = 16
	// mostBody is more than any request has, in bytes.
	mostBody = 4 << 10
	// perSecond and atOnce bound the calls that are looked at, of all callers together.
	perSecond, atOnce = 5, 20
	// answerBound is how long a call waits for the agent. What takes longer goes on.
	answerBound = 5 * time.Second
)

// Token is what somebody shows.
type Token struct {
	Name string
	sum  [sha256.Size]byte
}

// name is what somebody can be called: it stands in logs and the history.
var name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// ParseTokens reads a line for each: a name, a space, the token. Empty lines and those that
// begin with # are left out. Its errors show no token.
func ParseTokens(text string) (all []Token, err error) {
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		words := strings.Fields(line)
		switch {
		case len(words) != 2 || !name.MatchString(words[0]):
			return nil, fmt.Errorf("line %d of the tokens is not NAME TOKEN, with a name of letters, digits, . _ @ and -", i+1)
		case len(words[1]) < shortestToken:
			return nil, fmt.Errorf("the token of %s has %d characters, and needs %d at least: openssl rand -hex 32 makes one", words[0], len(words[1]), shortestToken)
		}
		all = append(all, Token{words[0], sha256.Sum256([]byte(words[1]))})
	}
	if len(all) == 0 {
		return nil, errors.New("there are no tokens: write a line for each, NAME TOKEN")
	}
	return all, nil
}

// Ask leaves a request for the agent, and waits for the answer until ctx is done. Then the
// request stands, and the error is that of ctx.
type Ask func(ctx context.Context, verb string, ask reconciler.Ask) (reconciler.Answer, error)

// Door answers calls. Its methods may be called from any goroutine.
type Door struct {
	tokens []Token
	ask    Ask
	hide   func(json []byte) []byte
	log    *slog.Logger
	calls  *rate.Limiter
}

// New gives a door that opens to these tokens. hide takes the secrets out of a JSON text.
func New(tokens []Token, ask Ask, hide func(json []byte) []byte, log *slog.Logger) *Door {
	return &Door{tokens, ask, hide, log, rate.NewLimiter(perSecond, atOnce)}
}

// Verbs are what can be asked for, each at its own path.
var Verbs = []string{reconciler.AskApply, reconciler.AskPause, reconciler.AskResume, reconciler.AskRollback}

// request is the body of a call. It may be empty.
type request struct {
	For      string `json:"for"`      // pause: how long, as in 2h
	Reason   string `json:"reason"`   // pause
	Revision string `json:"revision"` // rollback: where to
}

// ServeHTTP answers a call of one verb, which is its path.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	verb := strings.Trim(r.URL.Path, "/")
	switch {
	case !slices.Contains(Verbs, verb):
		http.NotFound(w, r)
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "this is asked for by POST", http.StatusMethodNotAllowed)
		return
	case !d.calls.Allow():
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many calls", http.StatusTooManyRequests)
		return
	}
	who, ok := d.who(r.Header.Get("Authorization"))
	if !ok {
		d.log.Warn("a call without a token that is known is refused", "verb", verb, "from", r.RemoteAddr)
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "come with a token: Authorization: Bearer TOKEN", http.StatusUnauthorized)
		return
	}
	ask, err := read(http.MaxBytesReader(w, r.Body, mostBody), verb, time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ask.By = who
	ctx, cancel := context.WithTimeout(r.Context(), answerBound)
	defer cancel()
	answer, err := d.ask(ctx, verb, ask)
	d.answer(w, answer, err)
}

// who has that token. All are compared, each in the same time, so that how long it takes tells
// nothing.
func (d *Door) who(header string) (who string, ok bool) {
	given, bearer := strings.CutPrefix(header, "Bearer ")
	sum := sha256.Sum256([]byte(given))
	found := -1
	for i, t := range d.tokens {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], t.sum[:]), i, found)
	}
	if !bearer || found < 0 {
		return "", false
	}
	return d.tokens[found].Name, true
}

func read(body io.Reader, verb string, now time.Time) (ask reconciler.Ask, err error) {
	var said request
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&said); err != nil && !errors.Is(err, io.EOF) {
		return ask, errors.New(`the body is not what can be read here: write {"for": "2h", "reason": "…"} for pause, {"revision": "…"} for rollback, else nothing`)
	}
	pausing := verb == reconciler.AskPause
	switch {
	case !pausing && (said.For != "" || said.Reason != ""), verb != reconciler.AskRollback && said.Revision != "":
		return ask, fmt.Errorf("%s takes no such thing: for and reason are for pause, revision is for rollback", verb)
	case said.For != "":
		length, err := time.ParseDuration(said.For)
		if err != nil || length <= 0 {
			return ask, errors.New("for is a time, as in 2h")
		}
		ask.Until = now.Add(length)
	}
	ask.Reason, ask.Revision = said.Reason, said.Revision
	return ask, nil
}

// answer says what became of a request: 200 done, 202 it goes on, 409 it cannot be done, 503
// nobody is there to do it.
func (d *Door) answer(w http.ResponseWriter, answer reconciler.Answer, err error) {
	code := http.StatusOK
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		code, answer.Said = http.StatusAccepted, "it goes on: /status tells how it stands"
	case err != nil:
		code, answer.Error = http.StatusServiceUnavailable, err.Error()
	case answer.Error != "":
		code = http.StatusConflict
	}
	text, err := json.Marshal(answer)
	if err != nil {
		http.Error(w, "the answer cannot be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(append(d.hide(text), '\n'))
}
