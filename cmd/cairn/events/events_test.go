package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
)

const at = "/state/events"

func disk(t *testing.T) *durable.Mem {
	t.Helper()
	m := durable.NewMem()
	if err := m.MkdirAll("/state"); err != nil {
		t.Fatal(err)
	}
	return m
}

// keep logs something through a Log on fs and waits until it is written.
func keep(t *testing.T, fs durable.FS, do func(*slog.Logger)) {
	t.Helper()
	l := New(fs, at)
	do(slog.New(l.Handler(slog.DiscardHandler)))
	l.Start()
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func shown(t *testing.T, fs durable.FS, f Filter) (out []string) {
	t.Helper()
	es, err := Read(fs, at, f)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range es {
		line := e.Level + " " + e.Node + " " + e.What
		for _, f := range e.Facts {
			line += " " + f.Key + "=" + f.Value
		}
		out = append(out, line)
	}
	return out
}

func TestWhatBecomesAnEvent(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*slog.Logger)
		want string // empty for no event
	}{
		{"a node that fell silent", func(l *slog.Logger) { l.Warn("node does not answer", "node", "bob", "err", errors.New("timeout")) },
			"WARN bob node does not answer err=timeout"},
		{"figures are kept whatever they are called", func(l *slog.Logger) { l.Info("x", "rows", 7, "took", time.Second) }, "INFO  x rows=7 took=1s"},
		{"attributes of the logger count", func(l *slog.Logger) { l.With("node", "bob").Info("x") }, "INFO bob x"},
		{"so do groups", func(l *slog.Logger) { l.Info("x", slog.Group("g", "node", "bob")) }, "INFO bob x"},
		{"an error of many lines is one", func(l *slog.Logger) { l.Error("x", "err", "a\nb") }, "ERROR  x err=a; b"},
		{"debug is none", func(l *slog.Logger) { l.Debug("x") }, ""},
		{"a pack that went well is none", func(l *slog.Logger) { l.Info("pack spread", "pack", "p") }, ""},
		{"a pack that did not is one", func(l *slog.Logger) { l.Warn("shards are gone", "pack", "p") }, "WARN  shards are gone pack=p"},
		{"a request is none", func(l *slog.Logger) { l.Error("answered", "request", "r", "err", "secret/key is broken") }, ""},
		{"whoever names an object is none", func(l *slog.Logger) { l.Error("x", "object", "secret/key") }, ""},
		{"unknown texts are left out", func(l *slog.Logger) { l.Error("x", "password", "hunter2", "from", "203.0.113.7") }, "ERROR  x"},
		{"a long text is cut", func(l *slog.Logger) { l.Error("x", "err", strings.Repeat("a", 9000)) }, "ERROR  x err=" + strings.Repeat("a", maxValue) + "..."},
	} {
		fs := disk(t)
		keep(t, fs, c.do)
		if got := strings.Join(shown(t, fs, Filter{}), "\n"); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// The log itself goes on as it was, at its own level.
func TestTheLogGoesOn(t *testing.T) {
	var text strings.Builder
	l := New(disk(t), at)
	log := slog.New(l.Handler(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelWarn}))).With("node", "bob")
	log.Info("quiet")
	log.WithGroup("g").Warn("loud", "password", "hunter2")
	if got := text.String(); strings.Contains(got, "quiet") || !strings.Contains(got, "msg=loud node=bob g.password=hunter2") {
		t.Errorf("the log has %q", got)
	}
}

func TestEventsSurviveRestartsAndTornLines(t *testing.T) {
	fs := disk(t)
	keep(t, fs, func(l *slog.Logger) { l.Info("one") })
	f, err := fs.OpenReadWrite(at)
	if err != nil {
		t.Fatal(err)
	}
	size, _ := f.Size()
	if _, err := f.WriteAt([]byte(`{"time":"2026-11-22T01:4`), size); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if got := shown(t, fs, Filter{}); len(got) != 1 {
		t.Errorf("with a torn line: %q", got)
	}
	keep(t, fs, func(l *slog.Logger) { l.Info("two") })
	if got := shown(t, fs, Filter{}); fmt.Sprint(got) != "[INFO  one INFO  two]" {
		t.Errorf("after the restart: %q", got)
	}
}

func TestFilesAreBounded(t *testing.T) {
	fs := disk(t)
	long := strings.Repeat("a", 500)
	var w writer
	n := 0
	for ; n < 40_000; n++ { // 23 MB
		if err := w.append(fs, at, Event{Time: time.UnixMilli(int64(n)), Level: "INFO", What: "x", Facts: []Fact{{"err", long}}}); err != nil {
			t.Fatal(err)
		}
	}
	w.close()
	for _, name := range []string{at, oldName(at)} {
		if size, err := fs.Size(name); err != nil || size > maxFile {
			t.Errorf("%s has %d bytes, %v", name, size, err)
		}
	}
	es, err := Read(fs, at, Filter{})
	if err != nil || len(es) < 7000 {
		t.Fatalf("%d events, %v", len(es), err)
	}
	for i, e := range es { // the newest, whole, in order
		if want := int64(n - len(es) + i); e.Time.UnixMilli() != want {
			t.Fatalf("event %d of %d is %d, want %d", i, len(es), e.Time.UnixMilli(), want)
		}
	}
}

func TestFilter(t *testing.T) {
	fs := disk(t)
	synctest.Test(t, func(t *testing.T) {
		keep(t, fs, func(l *slog.Logger) { l.Info("old", "node", "bob") })
		time.Sleep(time.Hour)
		keep(t, fs, func(l *slog.Logger) { l.Info("new", "node", "bob"); l.Info("new", "node", "dora") })
		since := time.Now().Add(-time.Minute)
		if got := shown(t, fs, Filter{Since: since}); len(got) != 2 {
			t.Errorf("since a minute: %q", got)
		}
		if got := shown(t, fs, Filter{Node: "bob"}); len(got) != 2 {
			t.Errorf("of bob: %q", got)
		}
		if got := shown(t, fs, Filter{Since: since, Node: "bob"}); fmt.Sprint(got) != "[INFO bob new]" {
			t.Errorf("both: %q", got)
		}
	})
}

// A disk that hangs holds nobody up, and what was lost is told.
func TestAHungDiskHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		fs := durable.Watch(disk(t), durable.Hook{Before: func(durable.Step) error { <-stuck; return nil }})
		l := New(fs, at)
		log := slog.New(l.Handler(slog.DiscardHandler))
		l.Start()
		start := time.Now()
		for range 3 * queued {
			log.Info("x")
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("logging took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Close(ctx); !errors.Is(err, cairn.ErrUnavailable) {
			t.Errorf("close: %v", err)
		}
		close(stuck)
		synctest.Wait()
		got := shown(t, fs, Filter{})
		told := 0
		for _, line := range got {
			var n int
			if _, err := fmt.Sscanf(line, "WARN  events were lost: the disk was too slow for them events=%d", &n); err == nil {
				told += n - 1 // its own line
			}
		}
		if len(got)+told != 3*queued || told <= 0 {
			t.Errorf("%d events, %d of them told as lost", len(got), told)
		}
	})
}

func TestFollowShowsWhatComes(t *testing.T) {
	fs := disk(t)
	synctest.Test(t, func(t *testing.T) {
		keep(t, fs, func(l *slog.Logger) { l.Info("one") })
		ctx, cancel := context.WithCancel(t.Context())
		var got []string
		done := make(chan error, 1)
		go func() { done <- Follow(ctx, fs, at, Filter{}, func(e Event) { got = append(got, e.What) }) }()
		time.Sleep(time.Second)
		keep(t, fs, func(l *slog.Logger) { l.Info("two") })
		time.Sleep(time.Second)
		if err := fs.Rename(at, oldName(at)); err != nil { // rotated
			t.Fatal(err)
		}
		keep(t, fs, func(l *slog.Logger) { l.Info("three") })
		time.Sleep(time.Second)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || fmt.Sprint(got) != "[one two three]" {
			t.Errorf("%q, %v", got, err)
		}
	})
}
