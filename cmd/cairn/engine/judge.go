package engine

import (
	"fmt"
	"time"
)

const (
	// silentLong is how long a disk may take before that is worth a word.
	silentLong = 5 * time.Second
	// stageFull is the part of the stage's limit from which writes wait, percent.
	stageFull = 95
)

// verdict gathers what is to be said of a status.
type verdict struct {
	s     *Status
	level int // index into levels
}

// levels are the states from best to worst; a store without nodes has one of
// its own.
var levels = [...]string{Whole, Degraded, AtRisk, Lost}

const (
	whole = iota
	degraded
	atRisk
	lost
)

// wrong notes what is not as it should be, and how bad that is.
func (v *verdict) wrong(level int, format string, args ...any) {
	v.level = max(v.level, level)
	v.s.Wrong = append(v.s.Wrong, fmt.Sprintf(format, args...))
}

// do is something for a person, now.
func (v *verdict) do(command, format string, args ...any) {
	v.s.Do = append(v.s.Do, Todo{command, fmt.Sprintf(format, args...)})
}

// wait is something that has time, or goes on by itself.
func (v *verdict) wait(format string, args ...any) {
	v.s.Wait = append(v.s.Wait, fmt.Sprintf(format, args...))
}

// judge fills in State, Summary, Wrong, Do and Wait from the rest. flush is how
// old an open pack gets before it is sent.
func judge(s *Status, flush time.Duration) {
	v := &verdict{s: s}
	s.Wrong, s.Do, s.Wait = []string{}, []Todo{}, []string{} // encode as [] and not as null
	v.machine(flush)
	v.nodes()
	v.packs()
	v.care()
	v.recovery()
	s.State = levels[v.level]
	if len(s.Nodes) == 0 && v.level < lost && !s.AsOf.IsZero() {
		s.State = Local
	}
	s.Summary = v.summary()
}

// machine is about this machine: its disk, its stage, what only it holds.
func (v *verdict) machine(flush time.Duration) {
	s := v.s
	if s.Silent > 0 {
		level, call, figures := degraded, "", "are not known"
		if time.Duration(s.Silent*float64(time.Second)) >= silentLong || s.AsOf.IsZero() {
			level = atRisk
		}
		if s.Hangs != "" {
			call = " (" + s.Hangs + ")"
		}
		if !s.AsOf.IsZero() {
			figures = "are of " + since(time.Since(s.AsOf).Seconds()) + " ago"
		}
		v.wrong(level, "this machine's disk does not answer, for %s now%s; figures of packs and objects %s", since(s.Silent), call, figures)
		v.do("cairn events --since 1h", "the disk of this machine hangs: look at the kernel's log (dmesg); `cairn recover` on another machine brings everything back that is on the nodes")
	}
	for _, d := range s.Damage {
		v.wrong(atRisk, "%s", d)
	}
	if len(s.Nodes) == 0 || s.AsOf.IsZero() {
		return
	}
	full := s.StageLimit > 0 && s.StagedBytes >= s.StageLimit/100*stageFull
	if full {
		v.wrong(atRisk, "the stage is full (%s of %s): writes wait for the nodes", size(s.StagedBytes), size(s.StageLimit))
		v.do("cairn flush", "says which packs wait and why; bring nodes back, add one, or raise stage.limit where the disk has room")
	}
	// A pack waits for its turn and one try; more means that tries fail.
	if late := 2*flush.Seconds() + 60; s.HereOnly > 0 && s.OldestHere > late {
		v.wrong(degraded, "%s have been on this machine only for %s: lost if it is", size(s.HereOnly), since(s.OldestHere))
		if !full {
			v.do("cairn flush", "sends them, or says what is in the way; then this machine holds nothing the nodes lack")
		}
	}
	for _, why := range s.Waiting {
		v.wait("a pack waits: %s", why)
	}
}

// summary is the state in one sentence.
func (v *verdict) summary() string {
	s, d := v.s, v.s.Durability
	switch {
	case s.AsOf.IsZero():
		return "this machine's disk does not answer: how the packs stand is not known"
	case s.State == Local:
		return "no nodes yet: objects live on this disk only"
	case d.Lost.Packs > 0:
		return fmt.Sprintf("%s are lost as far as anyone knows; the rest is served", number(d.Lost.Packs, "pack"))
	case len(s.Recoverable.Forks) > 0:
		return "another gateway writes to this store: nothing is written any more, reads go on"
	case d.Unreadable.Packs > 0:
		return fmt.Sprintf("%s of %s cannot be read now; the rest is served", number(d.Unreadable.Packs, ""), number(d.Packs, "pack"))
	case s.Silent > 0:
		return "this machine's disk does not answer: writes wait; what was known before follows"
	case s.Fleet.Coding == "" && v.begins():
		return "nodes were asked only just now, and not every one has answered yet"
	case s.Fleet.Coding == "":
		return "no node takes shards: writes stay on this machine"
	case s.State == AtRisk && d.lacking() == 0:
		return "writes wait, or this machine is not well"
	case d.Packs == 0:
		return "every node is well, and no pack is there yet; new packs are coded " + s.Fleet.Coding + ": " + mayFailOf(s.Fleet.Coding)
	}
	return "every object is readable and writes go on; " + mayFail(d.MayFail, d.MayFailWhole, d.Domain)
}
