package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cairn-storage/cairn/cmd/cairn/events"
)

// A thousand wrong shards of one node are not a thousand lines, and hide nothing
// else that happened meanwhile.
func TestManyAlikeEventsAreCounted(t *testing.T) {
	start := time.Date(2026, 11, 29, 12, 0, 0, 0, time.Local)
	var all []events.Event
	for i := range 1000 {
		at := start.Add(time.Duration(i) * 10 * time.Millisecond)
		all = append(all, events.Event{Time: at, Level: "WARN", What: "shard has wrong bytes", Node: "dora", Facts: []events.Fact{{Key: "pack", Value: fmt.Sprint(i)}}})
		if i == 500 {
			all = append(all, events.Event{Time: at, Level: "ERROR", What: "node sent wrong bytes twice and is quarantined", Node: "dora"})
		}
	}
	for i := range 5 {
		all = append(all, events.Event{Time: start.Add(time.Duration(i) * time.Second), Level: "INFO", What: "verb begins", Facts: []events.Fact{{Key: "op", Value: fmt.Sprint("verb", i)}}})
	}
	for i := range 5 { // each state that a node comes to is news
		all = append(all, events.Event{Time: start.Add(time.Duration(10+i) * time.Second), Level: "INFO", What: "is now", Node: "erik", Facts: []events.Fact{{Key: "state", Value: fmt.Sprint("state", i)}}})
	}
	// An hour later it is another row.
	all = append(all, events.Event{Time: start.Add(time.Hour), Level: "WARN", What: "shard has wrong bytes", Node: "dora", Facts: []events.Fact{{Key: "pack", Value: "late"}}})
	var lines []string
	for _, x := range fold(all) {
		lines = append(lines, strings.TrimSpace(x.text()))
	}
	want := []string{
		"2026-11-29 12:00:00  warn   dora: shard has wrong bytes: pack 0",
		"2026-11-29 12:00:00  warn   dora: shard has wrong bytes: pack 1",
		"2026-11-29 12:00:00  warn   dora: shard has wrong bytes: pack 2",
		"2026-11-29 12:00:05  error  dora: node sent wrong bytes twice and is quarantined",
		"2026-11-29 12:00:09  warn   dora: shard has wrong bytes: 997 more like it since 12:00:00 (--all shows each)",
		"2026-11-29 12:00:00         verb begins: op verb0",
		"2026-11-29 12:00:01         verb begins: op verb1",
		"2026-11-29 12:00:02         verb begins: op verb2",
		"2026-11-29 12:00:03         verb begins: op verb3",
		"2026-11-29 12:00:04         verb begins: op verb4",
		"2026-11-29 12:00:10         erik: is now: state0",
		"2026-11-29 12:00:11         erik: is now: state1",
		"2026-11-29 12:00:12         erik: is now: state2",
		"2026-11-29 12:00:13         erik: is now: state3",
		"2026-11-29 12:00:14         erik: is now: state4",
		"2026-11-29 13:00:00  warn   dora: shard has wrong bytes: pack late",
	}
	if got := strings.Join(lines, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
