package backends_test

import (
	"context"
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
)

func newMetrics(t *testing.T) (*backends.Metrics, *prometheus.Registry) {
	reg := prometheus.NewRegistry()
	m, err := backends.NewMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	return m, reg
}

// stack is a node's whole stack as the package comment has it.
func stack(t *testing.T, r backends.Remote) backends.Remote {
	m, _ := newMetrics(t)
	r = backends.Guard(r, backends.Bounds{})
	r = backends.Deadline(r, backends.DeadlineConfig{})
	r = backends.Limit(r, 8)
	r = backends.Retry(r, backends.RetryConfig{})
	return backends.Meter(r, "n1", m)
}

func TestEveryWrapperKeepsTheContract(t *testing.T) {
	for name, wrap := range map[string]func(*testing.T, backends.Remote) backends.Remote{
		"none":  func(_ *testing.T, r backends.Remote) backends.Remote { return r },
		"guard": func(_ *testing.T, r backends.Remote) backends.Remote { return backends.Guard(r, backends.Bounds{}) },
		"deadline": func(_ *testing.T, r backends.Remote) backends.Remote {
			return backends.Deadline(r, backends.DeadlineConfig{})
		},
		"limit to 1": func(_ *testing.T, r backends.Remote) backends.Remote { return backends.Limit(r, 1) },
		"retry": func(_ *testing.T, r backends.Remote) backends.Remote {
			return backends.Retry(r, backends.RetryConfig{})
		},
		"meter":        func(_ *testing.T, r backends.Remote) backends.Remote { return backends.Meter(r, "n1", nil) },
		"faulty works": func(_ *testing.T, r backends.Remote) backends.Remote { return backendtest.NewFaulty(r, nil) },
		"whole stack":  stack,
		"retry, every first call fails": func(_ *testing.T, r backends.Remote) backends.Remote {
			f := backendtest.NewFaulty(r, func(op, _ string, attempt int) backendtest.Fate {
				if attempt == 1 && op != backends.OpReplace { // replace is not retried
					return backendtest.Fails
				}
				return backendtest.Works
			})
			return backends.Retry(f, backends.RetryConfig{Pause: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			backendtest.Run(t, func(t *testing.T) backends.Remote { return wrap(t, &backendtest.Mem{}) })
		})
	}
}

// bare has the five methods and nothing else.
type bare struct{ backends.Remote }

func TestAbilitiesAreSeenThroughEveryWrapper(t *testing.T) {
	mem := &backendtest.Mem{Capacity: 100}
	r := stack(t, backendtest.NewFaulty(mem, nil))
	if got, ok := backends.As[*backendtest.Mem](r); !ok || got != mem {
		t.Errorf("As[*Mem] is %v, %v", got, ok)
	}
	c, ok := backends.As[backends.Capacity](r)
	if !ok {
		t.Fatal("no Capacity")
	}
	if free, total, err := c.Free(t.Context()); free != 100 || total != 100 || err != nil {
		t.Errorf("free %d of %d, %v", free, total, err)
	}
	d, ok := backends.As[backends.Describer](r)
	if !ok {
		t.Fatal("no Describer")
	}
	if traits, err := d.Describe(t.Context()); traits.Kind != "memory" || err != nil {
		t.Errorf("described as %+v, %v", traits, err)
	}
}

func TestAbilitiesThatAreMissingStayMissing(t *testing.T) {
	r := stack(t, bare{&backendtest.Mem{}})
	if _, ok := backends.As[backends.Capacity](r); ok {
		t.Error("a Capacity out of nowhere")
	}
	if _, ok := backends.As[backends.Replacer](r); ok {
		t.Error("a Replacer out of nowhere")
	}
	if _, ok := backends.As[backends.Describer](r); ok {
		t.Error("a Describer out of nowhere")
	}
	if _, ok := backends.As[backends.Closer](r); !ok {
		t.Error("Deadline's Close is not seen")
	}
	if _, ok := backends.As[backends.Closer](backends.Limit(bare{&backendtest.Mem{}}, 1)); ok {
		t.Error("a Closer out of nowhere")
	}
}

func TestWrappersCoverAbilities(t *testing.T) {
	faulty := backendtest.NewFaulty(&backendtest.Mem{}, backendtest.Always(backendtest.Fails))
	r := stack(t, faulty)
	w, ok := backends.As[backends.Replacer](r)
	if !ok {
		t.Fatal("no Replacer")
	}
	err := w.Replace(t.Context(), "status", nil)
	var known *backends.Error
	if !errors.As(err, &known) || known.Op != backends.OpReplace || known.Node != "n1" || known.Name != "status" {
		t.Errorf("Meter did not name the failed replace: %v", err)
	}
	if err := w.Replace(t.Context(), "../status", nil); !errors.Is(err, cairn.ErrInvalid) {
		t.Errorf("Guard let a replace through: %v", err)
	}
	if n := faulty.Attempts(backends.OpReplace, "status"); n != 1 {
		t.Errorf("a replace was tried %d times", n)
	}
	c, _ := backends.As[backends.Capacity](r)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := c.Free(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled free: %v", err)
	}
}
