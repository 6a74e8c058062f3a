package sim

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"
)

// Result is what became of a run.
type Result struct {
	Setup  Setup
	Plan   []Step
	Said   []string // of each step that was carried out
	Err    error    // the broken promise, nil where all were kept
	At     int      // step it was seen at; len(Plan) for the end
	Steps  uint64   // durable steps
	Losses int      // of power
	Lives  int      // of the gateway
	Points Points   // steps of the plan at which a Fuse can burn down
}

// String is the trace: every step with what was said of it, as text that can
// be pasted into a test, and how it ended.
func (r Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "play(t, %v, []Step{\n", r.Setup)
	for i, s := range r.Plan {
		said := ""
		if i < len(r.Said) && r.Said[i] != "" {
			said = " // " + r.Said[i]
		}
		if r.Err != nil && i == r.At {
			said = " // FAILS HERE"
		}
		fmt.Fprintf(&b, "\t%v,%s\n", s, said)
	}
	b.WriteString("})\n")
	if r.Err != nil {
		fmt.Fprintf(&b, "// step %d: %v\n", r.At, r.Err)
	}
	return b.String()
}

// Play runs a plan over a new world in a bubble of simulated time, and all of
// Finish after it. t fails only where the bubble itself cannot end.
func Play(t *testing.T, s Setup, plan []Step, log *slog.Logger) (r Result) {
	t.Helper()
	r = Result{Setup: s, Plan: plan, At: -1}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r.play(ctx, log)
	})
	return r
}

// briefly is how many steps a brief run has after its power loss.
const briefly = 3

func (r *Result) play(ctx context.Context, log *slog.Logger) {
	defer func() {
		if p := recover(); p != nil {
			r.Err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	w, err := NewWorld(ctx, r.Setup, log)
	if err != nil {
		r.Err = fmt.Errorf("new world: %w", err)
		return
	}
	defer func() {
		r.Steps, r.Losses, r.Lives = w.disk.steps, w.disk.losses, w.lives
		if r.Err != nil { // whatever runs must end with the bubble
			for _, n := range w.nodes {
				n.Heal()
			}
			_ = w.close()
		}
	}()
	made := w.disk.passed()
	since := 0 // steps since a power loss of a brief run
	for i, s := range r.Plan {
		r.At = i
		if since == briefly {
			r.Err = w.finishBriefly()
			return
		}
		said, err := w.Do(s)
		r.Said = append(r.Said, said)
		if err != nil {
			r.Err = err
			return
		}
		if r.Setup.Brief && w.disk.lost() > 0 {
			since++
		}
	}
	r.At = len(r.Plan)
	r.Points = w.disk.passed().less(made)
	r.Err = w.Finish()
}
