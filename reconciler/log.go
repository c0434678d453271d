package reconciler

import (
	"errors"
	"log/slog"
	"time"

	"github.com/flumendata/flumen-agent/reconciler/plan"
)

// LogTo is a Listener that logs what a run changes: what it does and what failed at
// the usual level, the rest for those who debug.
func LogTo(log *slog.Logger) Listener {
	return func(e Event) {
		switch e.Kind {
		case StepDone:
			log.Info("step done", stepAttrs(e)...)
		case StepFailed:
			log.Error("step failed", append(stepAttrs(e), "err", e.Err)...)
			var failure *plan.Failure
			if errors.As(e.Err, &failure) {
				for _, line := range failure.Log {
					log.Error("its log", "ref", failure.Ref, "line", line)
				}
			}
		case StepSkipped:
			log.Warn("step skipped", append(stepAttrs(e), "err", e.Err)...)
		case StepBegan:
			log.Debug("step begins", stepAttrs(e)...)
		case StepLeft:
			log.Warn("its data stays, and nothing uses it any more", "what", e.What, "ref", e.Step.Change.Ref())
		case StageReady:
			log.Info("ready", "tier", e.Stage, "took", e.Took.Round(time.Millisecond))
		}
	}
}

func stepAttrs(e Event) []any {
	return []any{"tier", e.Stage, "step", string(e.Step.Change.Verb()), "ref", e.Step.Change.Ref().String(), "cause", e.Step.Reason(), "took", e.Took.Round(time.Millisecond)}
}
