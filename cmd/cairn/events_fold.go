package main

import (
	"fmt"
	"time"

	"github.com/cairn-storage/cairn/cmd/cairn/events"
)

const (
	// foldAbove is how often one thing is told in a row before the rest is counted.
	foldAbove = 3
	// foldGap is how long nothing of the kind may happen within one row.
	foldGap = time.Minute
)

// told is an event as a person is shown it: alone, or for many of its kind.
type told struct {
	events.Event
	more  int       // of its kind that are not shown, it included; 0 when it is itself
	since time.Time // of the first of them
}

// fold leaves the first few of what happens again and again, such as a thousand
// shards that one node has wrong, and counts the others where the last of them
// is; another verb, or another state of a node, is another kind. Order stays.
func fold(all []events.Event) (out []told) {
	type kind struct{ level, what, node, op, becomes string }
	type row struct {
		n    int
		at   int // in out, of the line that counts; -1 for none
		last time.Time
	}
	rows := make(map[kind]*row)
	gone := make(map[int]bool) // of out
	for _, e := range all {
		k := kind{level: e.Level, what: e.What, node: e.Node}
		for _, f := range e.Facts {
			switch f.Key {
			case "op":
				k.op = f.Value
			case "state": // each that a node comes to is news
				k.becomes = f.Value
			}
		}
		r := rows[k]
		if r == nil || e.Time.Sub(r.last) > foldGap {
			r = &row{at: -1}
			rows[k] = r
		}
		r.n, r.last = r.n+1, e.Time
		if r.n <= foldAbove {
			out = append(out, told{Event: e})
			continue
		}
		t := told{Event: e, more: 1, since: e.Time}
		if r.at >= 0 {
			t.more, t.since = out[r.at].more+1, out[r.at].since
			gone[r.at] = true
		}
		r.at = len(out)
		out = append(out, t)
	}
	kept := out[:0]
	for i, t := range out {
		if !gone[i] {
			kept = append(kept, t)
		}
	}
	return kept
}

// text is the line for it.
func (t told) text() string {
	if t.more < 2 {
		return eventText(t.Event)
	}
	e := t.Event
	e.Facts = []events.Fact{{Key: "what", Value: fmt.Sprintf("%s more like it since %s (--all shows each)", count(int64(t.more), ""), t.since.Local().Format(time.TimeOnly))}}
	for _, f := range t.Facts {
		if f.Key == "op" {
			e.Facts = append([]events.Fact{f}, e.Facts...)
		}
	}
	return eventText(e)
}
