package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

func TestProgressText(t *testing.T) {
	for _, c := range []struct {
		p    engine.Progress
		want string
	}{
		{engine.Progress{Text: "recorded"}, "recorded"},
		{engine.Progress{Text: "scrub", Done: 720, Of: 7561, Unit: "pack", Bytes: 12 << 30, Rate: 4.8 * (1 << 20), Left: 15000},
			"scrub  [##......................] 720 of 7,561 packs · 12.0 GiB · 4.8 MiB/s · about 4h10m left"},
		{engine.Progress{Done: 3, Of: 3, Unit: "shard"}, "[########################] 3 of 3 shards"},
		{engine.Progress{Text: "flush", Done: 1 << 20, Of: 4 << 20, Bytes: 1 << 20, Rate: 1 << 20, Left: 3}, "flush  [######..................] 1.0 MiB of 4.0 MiB · 1.0 MiB/s · about 3s left"},
		{engine.Progress{Text: "listing bob", Done: 1200, Unit: "file"}, "listing bob  1,200 files"},
		{engine.Progress{Text: "x", Done: 9, Of: 3, Unit: "pack"}, "x  [########################] 9 of 3 packs"}, // more came meanwhile
	} {
		if got := progressText(c.p); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		b, err := json.Marshal(c.p)
		must(t, err)
		var back engine.Progress
		if must(t, json.Unmarshal(b, &back)); back != c.p {
			t.Errorf("%s comes back as %+v", b, back)
		}
		if words := c.p == (engine.Progress{Text: c.p.Text}); words != (b[0] == '"') {
			t.Errorf("on the wire: %s", b)
		}
	}
}

func TestProgressHasRateAndTimeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []engine.Progress
		m := engine.NewMeter(func(p engine.Progress) { got = append(got, p) })
		for i := range int64(1000) {
			m.Report(engine.Progress{Text: "repair", Done: i, Of: 1000, Unit: "pack", Bytes: i << 20})
			time.Sleep(100 * time.Millisecond)
		}
		m.Report(engine.Progress{Text: "repair", Done: 1000, Of: 1000, Unit: "pack", Bytes: 1000 << 20})
		last := got[len(got)-2]
		if len(got) > 520 || last.Rate != 10<<20 || last.Left < 0.1 || last.Left > 0.3 {
			t.Errorf("%d reports, the last but one %+v", len(got), last)
		}
		if end := got[len(got)-1]; end.Done != 1000 || end.Left != 0 {
			t.Errorf("the last: %+v", end)
		}
		// Four times slower from here on: a minute later the time left is that of now.
		for i := range int64(200) {
			m.Report(engine.Progress{Text: "scrub", Done: i, Of: 1000, Unit: "pack"})
			time.Sleep(400 * time.Millisecond)
		}
		if last := got[len(got)-1]; last.Left < 319 || last.Left > 330 {
			t.Errorf("of the second part: %+v", last)
		}
	})
}

// A person's line never wraps: what wrapped could not be written over.
func TestProgressFitsTheTerminal(t *testing.T) {
	var errs bytes.Buffer
	e := &env{err: &errs, person: true, columns: func() int { return 20 }}
	e.progress(strings.Repeat("·", 50))
	e.progress("short")
	if got := errs.String(); got != "\r"+strings.Repeat("·", 19)+"\rshort"+strings.Repeat(" ", 14) {
		t.Errorf("got %q", got)
	}
}

// Elsewhere there is a line a minute, whatever a verb reports.
func TestProgressIsALineAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var errs bytes.Buffer
		e := &env{err: &errs}
		for range 600 {
			e.progress("scrub")
			time.Sleep(time.Second)
		}
		if n := strings.Count(errs.String(), "scrub\n"); n != 9 {
			t.Errorf("%d lines in ten minutes", n)
		}
	})
}

func TestInterruptedSaysHowToGoOn(t *testing.T) {
	m := newStore(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	if status := run(ctx, m.env(&out, &errs), []string{"flush", "--config", m.path("cairn.toml")}); status != 130 || !strings.HasPrefix(errs.String(), "cairn: interrupted; what was sent stays sent") {
		t.Errorf("status %d, %q", status, errs.String())
	}
}
