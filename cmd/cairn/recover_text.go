package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/store"
)

// lostShown is how many lost objects are named; --json has more.
const lostShown = 10

// recoverLines are lines with a word before them.
type recoverLines struct{ strings.Builder }

func (l *recoverLines) add(word, format string, args ...any) {
	fmt.Fprintf(l, "%-8s%s\n", word, fmt.Sprintf(format, args...))
}

// foundText is what the nodes told.
func foundText(f engine.RecoverFound, now time.Time) string {
	var l recoverLines
	if !f.KitMade.IsZero() {
		l.add("kit", "%s, %s, %s old, last root then %d", f.Short, count(int64(f.Nodes), "node"), ago(now.Sub(f.KitMade).Seconds()), f.KitRoot)
	} else {
		l.add("store", "%s", f.Short)
	}
	text := fmt.Sprintf("%d of %d answer", f.Answer, max(f.Nodes, f.Answer+len(f.Silent)))
	if len(f.Silent) > 0 {
		text += " (" + strings.Join(f.Silent, "; ") + ")"
	}
	if f.Root > 0 {
		text += fmt.Sprintf(".  Newest root %d, of %s ago, on %s", f.Root, ago(now.Sub(f.Written).Seconds()), strings.Join(f.On, ", "))
	} else {
		text += ".  No root is left that counts"
	}
	if len(f.Behind) > 0 {
		text += ".  " + strings.Join(f.Behind, ", ") + ": older, and not relied on"
	}
	l.add("nodes", "%s", text)
	for _, fork := range f.Forks {
		l.add("FORK", "%s", fork)
	}
	for _, note := range f.Notes {
		l.add("note", "%s", note)
	}
	return l.String()
}

// stepText is how far a step is, for the line that changes.
func stepText(s store.RecoverStep) string {
	text := s.Name
	if s.Objects > 0 {
		text += ": " + count(int64(s.Objects), "row")
	}
	if s.Of > 0 {
		text += fmt.Sprintf(", %d of %s", s.Packs, count(int64(s.Of), "pack"))
		if s.Packs > 0 && s.Packs < s.Of {
			left := s.Took.Seconds() / float64(s.Packs) * float64(s.Of-s.Packs)
			text += ", about " + ago(left) + " left"
		}
	}
	return text
}

// quick is how long a step may take that needs no words.
const quick = time.Second

// doneText is what a step came to; empty for one that says nothing.
func doneText(s store.RecoverStep) string {
	took := s.Took.Round(10 * time.Millisecond).String()
	read := fmt.Sprintf("(%s of %s) %s", bytesText(int64(s.Bytes)), count(int64(s.Packs), "pack"), took)
	switch {
	case s.Name == "checkpoint":
		return fmt.Sprintf("checkpoint: %s %s", count(int64(s.Objects), "row"), read)
	case s.Name == "log":
		return fmt.Sprintf("newer packs: %s %s", count(int64(s.Objects), "record"), read)
	case s.Took > quick:
		return s.Name + " " + took
	}
	return ""
}

// indexText is what was read, what is there, and what is not; err is how the
// recovery ended.
func indexText(r engine.RecoverReport, err error) string {
	var l recoverLines
	if len(r.Index.Steps) > 0 {
		var steps []string
		for _, s := range r.Index.Steps {
			if text := doneText(s); text != "" {
				steps = append(steps, text)
			}
		}
		l.add("index", "%s: %s", count(int64(r.Index.Objects), "object"), strings.Join(steps, " · "))
	}
	if r.Index.Journals > 0 {
		l.add("", "%s of them only journals had", count(int64(r.Index.Journals), "record"))
	}
	if err == nil {
		text := fmt.Sprintf("%s, %s, %s", count(int64(r.Buckets), "bucket"), count(int64(r.Access), "access key"), count(int64(r.Recorded), "node"))
		for _, k := range r.Kept {
			text += fmt.Sprintf(" · kept: %s of %s (%s) -> %s", k.Name, k.Kept.UTC().Format("2006-01-02 15:04"), bytesText(k.Bytes), k.File)
		}
		l.add("state", "%s", text)
	}
	l.WriteString(lossText(r, err))
	return l.String()
}

// lossText says what is not back, or that nothing is missing.
func lossText(r engine.RecoverReport, err error) string {
	var l recoverLines
	i := r.Index
	for _, h := range i.Holes {
		l.add("LOSS", "%v on no node that answers: what was written then is not known", h)
	}
	if len(i.Silent) > 0 && len(i.Steps) > 0 {
		text := "what only they have is not known"
		if len(i.Silent) <= r.Miss && len(i.Holes) == 0 && i.LostCount == 0 {
			text = fmt.Sprintf("packs can miss %d, so all that was spread is here", r.Miss)
		}
		l.add("loss", "%s did not answer: %s", strings.Join(i.Silent, ", "), text)
	}
	if len(i.Holes) > 0 && err == nil {
		l.add("", "when the nodes that have it are back their objects come back by themselves, but where somebody wrote since; nothing is deleted until then")
	}
	if len(i.Void) > 0 {
		l.add("loss", "%s of a former gateway, written after another took over, do not count", count(int64(len(i.Void)), "log pack"))
	}
	for n, lost := range i.Lost {
		if n == lostShown {
			l.add("", "and %s more (--json lists them)", count(int64(i.LostCount)-lostShown, "object"))
			break
		}
		text := lost.Bucket + "/" + lost.Key
		if lost.Part > 0 {
			text += fmt.Sprintf(", part %d of an upload", lost.Part)
		}
		if lost.Older {
			text += ": the version before it is back in its place"
		}
		l.add("LOST", "%s (pack %v has too few shards)", text, lost.Pack)
	}
	switch {
	case l.Len() > 0 || err != nil && len(i.Steps) == 0:
	case err == nil:
		l.add("loss", "everything spread is here.  What arrived after the last flush was only on the old disk, if anything was")
	}
	if err != nil && errors.Is(err, cairn.ErrUnavailable) && len(i.Steps) > 0 {
		l.add("", "this directory is no store yet: the same command tries again")
	}
	return l.String()
}

// endText is the end of a recovery that came to one.
func endText(r engine.RecoverReport, path string) string {
	var b strings.Builder
	took := ago(r.Took)
	if r.Rehearsed {
		fmt.Fprintf(&b, "Rehearsed in %s: %s would be back; %d of %d read at random are exact.  Nothing was written to any node.\n",
			took, count(r.Objects, "object"), r.Sampled-r.Failed, r.Sampled)
		for _, u := range r.Unread {
			fmt.Fprintf(&b, "  not readable: %s\n", u)
		}
		return b.String()
	}
	for _, o := range r.Unwrapped {
		fmt.Fprintf(&b, "owner   %s.  Then: cairn key rotate, so that this owner can recover what is new\n", o)
	}
	if r.Waiting != "" {
		fmt.Fprintf(&b, "wait    nodes take nothing new yet: %s\n", r.Waiting)
	}
	fmt.Fprintf(&b, "Ready in %s.  Next: cairn serve --config %s · point clients here", took, path)
	for _, k := range r.Kept {
		switch {
		case k.Restore != "":
			b.WriteString(" · " + k.Restore)
		case k.File != "" && k.Bytes > 0:
			b.WriteString(" · put back " + k.File)
		}
	}
	b.WriteString("\n")
	for _, k := range r.Kept {
		if k.Error != "" {
			fmt.Fprintf(&b, "  kept: %s: %s\n", k.Name, k.Error)
		}
	}
	return b.String()
}
