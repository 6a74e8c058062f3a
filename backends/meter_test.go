package backends_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
)

// answering is a node whose every call ends with err.
func answering(err error) backends.Remote {
	return &backends.Around{Inner: &backendtest.Mem{}, Do: func(context.Context, backends.Call, func(context.Context) error) error {
		return err
	}}
}

func TestMeterGivesEveryErrorANodeAndAClass(t *testing.T) {
	odd := errors.New("odd")
	named := &backends.Error{Op: "open", Node: "10.0.0.1:22", Name: "x", Err: fmt.Errorf("refused: %w", cairn.ErrDenied)}
	for name, c := range map[string]struct {
		err, class error
		text       string // of a stat of "file"
	}{
		"a class is kept":          {fmt.Errorf("gone: %w", cairn.ErrNotExist), cairn.ErrNotExist, "node n1: stat file: gone: does not exist"},
		"no class is unavailable":  {odd, cairn.ErrUnavailable, "node n1: stat file: not available now: odd"},
		"a context's error stays":  {context.Canceled, cairn.ErrUnavailable, "node n1: stat file: not available now: context canceled"},
		"named once, not twice":    {fmt.Errorf("after 3 tries: %w", named), cairn.ErrDenied, "after 3 tries: node 10.0.0.1:22: open x: refused: access denied"},
		"named but without class":  {&backends.Error{Op: "stat", Node: "n9", Err: odd}, cairn.ErrUnavailable, "not available now: node n9: stat: odd"},
		"a more specific class":    {fmt.Errorf("%w, %w", cairn.ErrUnavailable, cairn.ErrCorrupt), cairn.ErrCorrupt, "node n1: stat file: not available now, bytes are not what was written"},
		"what it was can be found": {fmt.Errorf("deep: %w", odd), cairn.ErrUnavailable, "node n1: stat file: not available now: deep: odd"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := backends.Meter(answering(c.err), "n1", nil).Stat(t.Context(), "file")
			var known *backends.Error
			if !errors.As(err, &known) || !errors.Is(err, c.err) || cairn.Class(err) != c.class || err.Error() != c.text {
				t.Errorf("%v, class %v", err, cairn.Class(err))
			}
			for _, err := range backends.Meter(answering(c.err), "n1", nil).List(t.Context(), "dir") {
				if !errors.As(err, &known) || !errors.Is(err, c.err) || cairn.Class(err) != c.class {
					t.Errorf("list: %v, class %v", err, cairn.Class(err))
				}
			}
		})
	}
}

func TestMeterCountsAndTimesEveryCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, reg := newMetrics(t)
		f := backendtest.NewFaulty(&backendtest.Mem{}, backendtest.On(backendtest.Drips, backends.OpRead, backends.OpList))
		r := backends.Meter(f, "n1", m)
		check := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		check(r.Put(t.Context(), "file", make([]byte, 100)))
		check(r.ReadAt(t.Context(), "file", make([]byte, 3), 0)) // 3 s
		for _, err := range r.List(t.Context(), "") {            // 1 s
			check(err)
			<-time.After(time.Hour) // the consumer's time is not the node's
		}
		f.SetDown(true)
		if r.Put(t.Context(), "file", make([]byte, 100)) == nil || r.Delete(t.Context(), "file") == nil {
			t.Fatal("the node is down")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := r.Stat(ctx, "file"); err == nil {
			t.Fatal("cancelled")
		}

		want := `
# HELP cairn_backends_received_bytes_total Bytes of content that nodes gave.
# TYPE cairn_backends_received_bytes_total counter
cairn_backends_received_bytes_total{node="n1",op="read"} 3
# HELP cairn_backends_sent_bytes_total Bytes of content that nodes took.
# TYPE cairn_backends_sent_bytes_total counter
cairn_backends_sent_bytes_total{node="n1",op="put"} 100
`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "cairn_backends_received_bytes_total", "cairn_backends_sent_bytes_total"); err != nil {
			t.Error(err)
		}
		got := map[string]string{}
		families, err := reg.Gather()
		check(err)
		for _, family := range families {
			if family.GetName() != "cairn_backends_op_seconds" {
				continue
			}
			for _, metric := range family.GetMetric() {
				var labels []string
				for _, l := range metric.GetLabel() {
					labels = append(labels, l.GetValue())
				}
				h := metric.GetHistogram()
				got[strings.Join(labels, " ")] = fmt.Sprintf("%d in %v s", h.GetSampleCount(), h.GetSampleSum())
			}
		}
		expect := map[string]string{
			"ok n1 put": "1 in 0 s", "ok n1 read": "1 in 3 s", "ok n1 list": "1 in 1 s",
			"unavailable n1 put": "1 in 0 s", "unavailable n1 delete": "1 in 0 s", "cancelled n1 stat": "1 in 0 s",
		}
		if fmt.Sprint(got) != fmt.Sprint(expect) {
			t.Errorf("counted %v\nwant    %v", got, expect)
		}
	})
}

func TestMetricsRegisterOnce(t *testing.T) {
	reg := prometheus.NewRegistry()
	if _, err := backends.NewMetrics(reg); err != nil {
		t.Fatal(err)
	}
	if _, err := backends.NewMetrics(reg); err == nil {
		t.Error("registered twice without an error")
	}
}
