package reconciler

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/report"
	"github.com/flumendata/flumen-agent/reconciler/state"
	"github.com/flumendata/flumen-agent/spec"
)

// The verbs of what people ask of the agent that holds a project.
const (
	AskApply    = "apply"
	AskPause    = "pause"
	AskResume   = "resume"
	AskRollback = "rollback"
)

const (
	// askedEvery is how often the agent looks whether somebody wrote a request: a person
	// hardly notices, and an agent that has nothing to do takes next to nothing.
	askedEvery = time.Second
	// askedAnyway is after how many such looks it reads the requests all the same.
	askedAnyway = 60
)

// Ask is what a request says beside its verb.
type Ask struct {
	Revision string    `json:"revision,omitempty"` // apply: the ID of what the person has loaded; rollback: where to, "" is one back
	Until    time.Time `json:"until,omitzero"`     // pause
	Reason   string    `json:"reason,omitempty"`   // pause
	By       string    `json:"by,omitempty"`       // who asks, if that is known: who came with a token
}

// Answer is what became of a request.
type Answer struct {
	Said   string         `json:"said,omitempty"`
	Error  string         `json:"error,omitempty"`
	Report *report.Report `json:"report,omitempty"` // of the run that followed
}

// awaitRequests looks for requests until ctx ends.
func (a *Agent) awaitRequests(ctx context.Context) {
	tick := time.NewTicker(askedEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-tick.C:
			if (a.stirred() || n%askedAnyway == 0) && len(a.unheard(ctx)) > 0 {
				a.look("asked for")
			}
		case <-ctx.Done():
			return
		}
	}
}

// stirred tells whether somebody may have written a request.
func (a *Agent) stirred() bool {
	a.mu.Lock()
	memory := a.memory
	a.mu.Unlock()
	return memory != nil && memory.Stirred()
}

// unheard are the requests that hear has not taken up. An unreadable memory is said
// where it is written to.
func (a *Agent) unheard(ctx context.Context) []state.Request {
	a.mu.Lock()
	memory, heard := a.memory, a.heard
	a.mu.Unlock()
	if memory == nil {
		return nil
	}
	all, _ := memory.Asked(ctx)
	var unheard []state.Request
	for _, r := range all {
		if r.ID > heard {
			unheard = append(unheard, r)
		}
	}
	return unheard
}

// hear takes up what people have asked for. It tells whether the run in progress has to
// make room for it.
func (a *Agent) hear(ctx context.Context) (makeRoom bool) {
	for _, r := range a.unheard(ctx) {
		a.mu.Lock()
		a.heard = r.ID
		a.mu.Unlock()
		var ask Ask
		said, err := "", json.Unmarshal(r.Args, &ask)
		if err == nil {
			said, err = a.obey(ctx, r.Verb, ask)
		}
		switch {
		case err != nil:
			a.reply(ctx, r, Answer{Error: err.Error()})
		case r.Verb == AskApply, r.Verb == AskRollback:
			a.asking, makeRoom = append(a.asking, r), true
		default:
			a.reply(ctx, r, Answer{Said: said})
			makeRoom = true
		}
		a.save(ctx)
	}
	return makeRoom
}

// obey does what a request asks for, as far as it is not a run's to do.
func (a *Agent) obey(ctx context.Context, verb string, ask Ask) (said string, err error) {
	a.said = ""
	s := a.standing
	switch verb {
	case AskApply:
		return "", a.tryAgain(ask)
	case AskPause:
		s = s.pause(ask, time.Now())
	case AskResume:
		s = s.resume()
	case AskRollback:
		if s, err = s.rollback(ask.Revision, time.Now()); err != nil {
			return "", err
		}
		s.Pin.By = ask.By
		if _, err := a.recall(ctx, s.Pin.Revision); err != nil {
			return "", err
		}
		a.retry = backoff{}
	default:
		return "", fmt.Errorf("this agent does not know what %q is: it is another version (%s)", verb, "see flumen-agent version")
	}
	a.know(s)
	a.Log.Info("asked for", "verb", verb, "by", ask.By, "cause", ask.Reason)
	return s.Summary(time.Now()), nil
}

// tryAgain forgets that the wanted revision has failed, and what waits for its time.
func (a *Agent) tryAgain(ask Ask) error {
	switch {
	case a.NoHeal:
		return fmt.Errorf("the agent that holds the project was started with --no-heal, so it changes nothing: stop it, then apply")
	case a.standing.Paused(time.Now()):
		return fmt.Errorf("%s: end that first with flumen-agent resume", a.standing.Summary(time.Now()))
	case ask.Revision != a.current.Revision.ID:
		return fmt.Errorf("the agent that holds the project follows %s, which is at revision %s, and this is another one: change it there, or stop the agent", a.current.Revision.Source, a.current.Revision.Short())
	}
	a.know(a.standing.release(a.current.Revision))
	a.retry, a.fresh, a.had = backoff{}, true, ""
	return nil
}

// askedBy names those who have asked for the run that is over, if they are known.
func (a *Agent) askedBy(trigger string) string {
	var who []string
	for _, r := range a.asking {
		var ask Ask
		if err := json.Unmarshal(r.Args, &ask); err == nil && ask.By != "" {
			who = append(who, r.Verb+" by "+ask.By)
		}
	}
	if len(who) == 0 {
		return trigger
	}
	return "asked for: " + strings.Join(who, ", ")
}

// answer tells those who wait for a run what became of it.
func (a *Agent) answer(ctx context.Context, rep report.Report) {
	for _, r := range a.asking {
		a.reply(ctx, r, Answer{Report: &rep})
	}
	a.asking = nil
}

func (a *Agent) reply(ctx context.Context, r state.Request, answer Answer) {
	if err := a.memory.Answer(ctx, r.ID, answer); err != nil {
		a.Log.Error("request not answered", "verb", r.Verb, "err", err)
	}
}

// pause is in force from now on.
func (s Standing) pause(ask Ask, now time.Time) Standing {
	s.Pause = &Pause{At: now.Round(0), Until: ask.Until.Round(0), Reason: ask.Reason, By: ask.By}
	return s
}

// rollback pins an earlier revision that became ready: the one whose commit or ID begins
// with name, or the latest other than that in force.
func (s Standing) rollback(name string, now time.Time) (Standing, error) {
	for _, rev := range s.Good {
		named := name != "" && (strings.HasPrefix(rev.Commit, name) || strings.HasPrefix(rev.ID, name))
		if named || name == "" && rev.ID != s.Enforced.ID {
			s.Pin = &Pin{Revision: rev, Instead: s.Wanted, At: now.Round(0)}
			return s, nil
		}
	}
	if name == "" {
		return s, fmt.Errorf("no other revision has become ready yet, so there is none to go back to")
	}
	return s, fmt.Errorf("no revision %s has become ready here: flumen-agent history lists those that have", name)
}

// Summary says in a line what is in force, and why.
func (s Standing) Summary(now time.Time) string {
	switch {
	case s.Paused(now):
		text := "paused" + by(s.Pause.By)
		if !s.Pause.Until.IsZero() {
			text += " until " + s.Pause.Until.Format(time.RFC3339)
		}
		if s.Pause.Reason != "" {
			text += " (" + s.Pause.Reason + ")"
		}
		return text
	case s.Pin != nil:
		return "pinned to revision " + s.Pin.Revision.Short() + by(s.Pin.By) + " until another than " + s.Pin.Instead.Short() + " is wanted, or flumen-agent resume"
	}
	rev, why := s.choose()
	if why == "" {
		return "following revision " + rev.Short()
	}
	return "keeping up revision " + rev.Short() + ": " + why
}

func by(who string) string {
	if who == "" {
		return ""
	}
	return " by " + who
}

// Find gives the revision in force or one that became ready, by the beginning of its
// commit or ID.
func (s Standing) Find(name string) (spec.Revision, bool) {
	for _, rev := range append([]spec.Revision{s.Wanted, s.Enforced}, s.Good...) {
		if name != "" && (strings.HasPrefix(rev.Commit, name) || strings.HasPrefix(rev.ID, name)) {
			return rev, true
		}
	}
	return spec.Revision{}, false
}
