package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/events"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/internal/durable"
)

func eventsVerb() verb {
	return verb{
		name: "events", short: "what happened to the gateway and its nodes, the newest last",
		usage: `
  --since AGE   no older than this, such as 30m, 6h or 7d (24h)
  --node NAME   of this node only
  --follow      go on with each new one, until Ctrl-C
  --all         each one by itself: else, of many alike within a minute, the first 3 and how many more

Read from <dir>/events, which a running gateway writes: also when that gateway hangs or
is gone. Names of objects and addresses of clients are never in it.`,
		try: `cairn events --since 6h --node dora`,
		run: runEvents,
	}
}

// eventsFile is where the events of a machine are.
func eventsFile(c config.Config) string { return filepath.Join(c.Dir, "events") }

func runEvents(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	since := f.String("since", "24h", "")
	node := f.String("node", "", "")
	follow := f.Bool("follow", false, "")
	each := f.Bool("all", false, "")
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	age, err := config.ParseDuration(*since)
	if err != nil {
		return usageError(v, "--since: %v", err)
	}
	c, err := f.settings()
	if err != nil {
		return err
	}
	fs, at := durable.OS(), eventsFile(c)
	want := events.Filter{Since: time.Now().Add(-time.Duration(age)), Node: *node}
	show := func(ev events.Event) {
		if f.json {
			_ = e.json(ev)
			return
		}
		e.printf("%s", eventText(ev))
	}
	if *follow {
		return events.Follow(ctx, fs, at, want, show)
	}
	found, err := events.Read(fs, at, want)
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	if len(found) == 0 && !f.json {
		if _, err := fs.Size(at); err != nil && cairn.Class(err) == cairn.ErrNotExist {
			e.printf("no events yet: a gateway (cairn serve) writes them to %s\n", at)
			return nil
		}
		e.printf("nothing happened in the last %s\n", age)
	}
	if f.json || *each {
		for _, ev := range found {
			show(ev)
		}
		return nil
	}
	for _, ev := range fold(found) {
		e.printf("%s", ev.text())
	}
	return nil
}

// eventText is one event as a line: when, how bad, who, what, and what is known
// of it.
func eventText(e events.Event) string {
	var facts []string
	for _, f := range e.Facts {
		switch f.Key {
		case "err", "why", "what", "state":
			facts = append(facts, f.Value)
		default:
			facts = append(facts, strings.ReplaceAll(f.Key, "_", " ")+" "+f.Value)
		}
	}
	level := ""
	if e.Level != "INFO" {
		level = strings.ToLower(e.Level)
	}
	what := e.What
	if e.Node != "" {
		what = e.Node + ": " + what
	}
	if len(facts) > 0 {
		what += ": " + strings.Join(facts, ", ")
	}
	return fmt.Sprintf("%s  %-5s  %s\n", e.Time.Local().Format("2006-01-02 15:04:05"), level, what)
}
