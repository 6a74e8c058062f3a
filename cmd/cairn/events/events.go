// Package events keeps what happened to a gateway where a person finds it
// later: nodes that fell silent and came back, wrong bytes, repairs, verbs. It
// takes them from the log, at Info and above, and keeps them in two files of
// bounded size.
//
// Reading order: events.go (Event, and what of a log record becomes one),
// handler.go (from the logger), file.go (to the disk), read.go (and back).
//
// Names of objects, addresses of clients and secrets never get there: of the
// attributes of a record only known ones are kept, and records of single
// requests and of single packs that did well are no events.
package events

import (
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Event is one thing that happened.
type Event struct {
	Time  time.Time `json:"time"`
	Level string    `json:"level"` // INFO, WARN or ERROR
	What  string    `json:"event"` // in words, always the same for the same thing
	Node  string    `json:"node,omitempty"`
	Facts []Fact    `json:"facts,omitempty"`
}

// Fact is one attribute of an event.
type Fact struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// maxValue bounds one value, bytes: an error with its causes is shorter.
const maxValue = 600

// texts are the attributes whose text is kept. Numbers, durations and times say
// nothing private and are kept whatever they are called.
var texts = []string{"node", "pack", "shard", "op", "class", "err", "why", "what", "state", "coding", "want", "using", "kind", "record", "root",
	"signer", "name", "path", "dir", "text", "step", "operator", "backend", "cause"}

// eventOf is what is kept of r with the attributes of its logger; false for
// what is no event.
func eventOf(r slog.Record, of []slog.Attr) (Event, bool) {
	e := Event{Time: r.Time.UTC().Truncate(time.Millisecond), Level: r.Level.String(), What: r.Message}
	pack, private := false, false
	add := func(a slog.Attr) {
		switch a.Key {
		case "":
			return
		case "request", "object": // of one request, whose errors may name its object
			private = true
			return
		case "pack":
			pack = true
		}
		v := a.Value
		switch v.Kind() {
		case slog.KindAny, slog.KindString:
			if !slices.Contains(texts, a.Key) {
				return
			}
		}
		text := short(v.String())
		if a.Key == "node" {
			e.Node = text
			return
		}
		e.Facts = append(e.Facts, Fact{a.Key, text})
	}
	for _, a := range of {
		flatten(a, add)
	}
	r.Attrs(func(a slog.Attr) bool { flatten(a, add); return true })
	if private || pack && r.Level < slog.LevelWarn {
		return Event{}, false
	}
	return e, true
}

// flatten gives the attributes of groups one by one.
func flatten(a slog.Attr, add func(slog.Attr)) {
	a.Value = a.Value.Resolve()
	if a.Value.Kind() != slog.KindGroup {
		add(a)
		return
	}
	for _, inner := range a.Value.Group() {
		flatten(inner, add)
	}
}

// short is s on one line, cut where it is too long.
func short(s string) string {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\n", "; "), "?")
	if len(s) > maxValue {
		s = strings.ToValidUTF8(s[:maxValue], "") + "..."
	}
	return s
}
