package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/scrub"
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
	if len(s.Nodes) == 0 && v.level < lost {
		s.State = Local
	}
	s.Summary = v.summary()
}

// machine is about this machine: its disk, its stage, what only it holds.
func (v *verdict) machine(flush time.Duration) {
	s := v.s
	if silent := time.Duration(s.Silent * float64(time.Second)); silent >= silentLong {
		v.wrong(atRisk, "this machine's disk has not answered for %s; figures of packs and objects are from before", since(s.Silent))
		v.do("cairn events --since 1h", "the disk of this machine hangs: look at the kernel's log (dmesg); `cairn recover` on another machine brings everything back that is on the nodes")
	}
	for _, d := range s.Damage {
		v.wrong(atRisk, "%s", d)
	}
	if len(s.Nodes) == 0 {
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

// nodes is about each node, and about them together.
func (v *verdict) nodes() {
	s := v.s
	if len(s.Nodes) == 0 {
		v.wrong(whole, "no nodes: objects live on this disk only")
		v.do("cairn node add REMOTE", "a disk, an SFTP account or a friend's machine: with one node objects survive this disk, with three a node may fail")
		return
	}
	for _, n := range s.Nodes {
		why := n.Why
		if n.Since >= 1 && n.State != "ok" {
			why += " for " + since(n.Since)
		}
		switch n.State {
		case "ok", "new": // not looked at yet, which is no fault of its own
			continue
		case "draining":
			v.wrong(degraded, "%s: draining: %s", n.Name, why)
			v.leaving(n.Name)
		case "paused", "held":
			v.wrong(degraded, "%s: %s: %s", n.Name, n.State, why)
		case "full":
			v.wrong(degraded, "%s: full: %s", n.Name, why)
			v.wait("%s is full: packs go to the others; more room there, or `cairn rebalance`", n.Name)
		case "quarantined":
			v.wrong(degraded, "%s: quarantined: %s (cairn node evidence %s)", n.Name, why, n.Name)
			v.wait("%s sent wrong bytes: ask its owner about disk and memory; then `cairn node reset %s`, or drain and remove it", n.Name, n.Name)
		case "down", "offline":
			v.wrong(degraded, "%s: %s: %s", n.Name, n.State, why)
			v.wait("%s: once it is back, what it holds counts again and nothing needs to be done; else it is made again on others after repair.after (24h unless set), at once where few shards are left", n.Name)
		default:
			v.wrong(degraded, "%s: %s: %s", n.Name, n.State, why)
		}
	}
	if s.Alarm != "" {
		v.wrong(degraded, "%s", s.Alarm)
		v.do("cairn events --since 2h", "several nodes sent wrong bytes within an hour: suspect this machine (memory, network, an upgrade) before the nodes; repair waits")
	}
	if s.Fleet.Coding == "" {
		v.wrong(atRisk, "no node takes shards: new objects stay on this machine")
		v.do("cairn node list", "shows why; bring nodes back or add one")
	}
}

// leaving is how far the drain of a node is.
func (v *verdict) leaving(name string) {
	c := v.s.Care
	if c == nil || c.Partial || c.When.IsZero() {
		return
	}
	i := slices.IndexFunc(c.Coverage, func(o scrub.Coverage) bool { return o.Name == name })
	switch {
	case i < 0:
	case c.Coverage[i].Shards == 0:
		v.wait("no pack needs %s any more: `cairn node remove %s`, or `cairn node set %s --state ok` to keep it", name, name, name)
	default:
		v.wait("%s is being emptied, by itself in a gateway: %s left there, %s", name, number(c.Coverage[i].Shards, "shard"), size(c.Coverage[i].Bytes))
	}
}

// packs is about what the packs can bear.
func (v *verdict) packs() {
	s, d := v.s, v.s.Durability
	if d.Packs == 0 {
		return
	}
	away := v.away()
	switch {
	case d.Lost.Packs > 0:
		v.wrong(lost, "%s, %s, lost: fewer shards are left than it takes to read them", number(d.Lost.Packs, "pack"), size(d.Lost.Bytes))
		v.do("cairn repair --dry-run", "names the packs; a node that was removed or wiped and still has its files brings them back: add it again")
	case d.Unreadable.Packs > 0:
		v.wrong(atRisk, "%s, %s, cannot be read now: too many nodes are away", number(d.Unreadable.Packs, "pack"), size(d.Unreadable.Bytes))
	}
	if d.Unreadable.Packs > d.Lost.Packs && len(away) > 0 {
		v.do("", "bring back %s: without them %s cannot be read", strings.Join(away, " or "), number(d.Unreadable.Packs, "pack"))
	}
	if lacking := d.lacking(); lacking > 0 && d.Lost.Packs == 0 && d.Unreadable.Packs == 0 {
		level := degraded
		if d.MayFail <= 0 && d.MayFailWhole > 0 {
			level = atRisk
		}
		v.wrong(level, "%s of %s lack shards: %s", number(lacking, ""), number(d.Packs, "pack"), mayFail(d.MayFail, d.MayFailWhole, d.Domain))
		if level == atRisk && len(away) > 0 {
			v.do("", "bring back %s, or add a node: one more failure makes objects unreadable", strings.Join(away, " or "))
		}
	}
	if d.Older.Packs > 0 {
		v.wait("%s, %s, are coded for fewer failures than new ones (%s): from when there were fewer nodes: a gateway codes them anew by itself, `cairn recode` does it now; packs of records alone go after a later checkpoint", number(d.Older.Packs, "pack"), size(d.Older.Bytes), s.Fleet.Coding)
	}
	if len(s.Fleet.Fatal) > 0 {
		v.wait("the loss of %s alone would lose packs: add nodes of other operators", strings.Join(s.Fleet.Fatal, " or of "))
	}
}

// care is about what is done for the shards, and what is in its way.
func (v *verdict) care() {
	c := v.s.Care
	if c == nil || len(v.s.Nodes) == 0 {
		return
	}
	if c.BacklogShards > 0 {
		text := fmt.Sprintf("repair runs by itself in a gateway: %s of %s, %s to make", number(c.BacklogShards, "shard"), number(c.BacklogPacks, "pack"), size(c.BacklogBytes))
		if c.Rate > 0 {
			text += fmt.Sprintf(", %s/s", size(int64(c.Rate)))
		}
		if c.ETA > 0 {
			text += ", done in about " + since(c.ETA)
		}
		v.wait("%s", text)
	}
	if c.Waiting != "" {
		v.wait("repair waits: %s", c.Waiting)
	}
	if n := int64(len(c.Stuck)) + c.StuckMore; n > 0 && v.s.Durability.Lost.Packs == 0 {
		if i := slices.IndexFunc(c.Stuck, func(s scrub.Stuck) bool { return s.NoNode }); i >= 0 {
			v.do("cairn node add REMOTE", "%s cannot be mended: %s", number(n, "pack"), c.Stuck[i].Why)
		} else {
			v.wait("%s cannot be mended now: %s", number(n, "pack"), c.Stuck[0].Why)
		}
	}
	if c.Whole < c.Full && c.Whole >= 0 && v.s.Durability.Packs > 0 {
		v.wait("after repair %s, with all nodes of their own %d: bring nodes back or add one", mayFail(c.Whole, c.Whole, v.s.Durability.Domain), c.Full)
	}
	if n := c.Shards.Unknown; n > 0 {
		v.wait("%s may stand on nodes that were not listed yet: unknown, not missing", number(n, "shard"))
	}
	for _, o := range c.Coverage {
		if o.Why != "" {
			v.wait("%s: %s", o.Name, o.Text)
		}
	}
}

// lacking is the packs that have less than all of their shards on nodes that
// are well.
func (d Durability) lacking() (n int64) {
	for i, m := range d.Missing {
		if i > 0 {
			n += m.Packs
		}
	}
	return n
}

// away are the nodes whose coming back would help.
func (v *verdict) away() (names []string) {
	for _, n := range v.s.Nodes {
		switch n.State {
		case "down", "offline", "gone":
			names = append(names, n.Name)
		}
	}
	return names
}

// recovery is about what would come back, were this machine gone.
func (v *verdict) recovery() {
	s := v.s
	before := len(s.Wrong)
	advise(s)
	if len(s.Wrong) > before {
		v.level = max(v.level, degraded)
	}
	if len(s.Recoverable.Forks) > 0 {
		v.level = max(v.level, atRisk)
		v.do("", "two gateways serve this store: stop this one (systemctl stop cairn) if the other took over, else stop the other and restart this one")
	}
	s.Wait = append(s.Wait, s.Recoverable.Advice...)
}

// summary is the state in one sentence.
func (v *verdict) summary() string {
	s, d := v.s, v.s.Durability
	switch {
	case s.State == Local:
		return "no nodes yet: objects live on this disk only"
	case d.Lost.Packs > 0:
		return fmt.Sprintf("%s are lost as far as anyone knows; the rest is served", number(d.Lost.Packs, "pack"))
	case len(s.Recoverable.Forks) > 0:
		return "another gateway writes to this store: nothing is written any more, reads go on"
	case d.Unreadable.Packs > 0:
		return fmt.Sprintf("%s of %s cannot be read now; the rest is served", number(d.Unreadable.Packs, ""), number(d.Packs, "pack"))
	case s.Fleet.Coding == "":
		return "no node takes shards: writes stay on this machine"
	case s.State == AtRisk && d.lacking() == 0:
		return "writes wait, or this machine is not well"
	case d.Packs == 0:
		return "every node is well, and no pack is there yet; new packs are coded " + s.Fleet.Coding + ": " + mayFailOf(s.Fleet.Coding)
	}
	return "every object is readable and writes go on; " + mayFail(d.MayFail, d.MayFailWhole, d.Domain)
}

// mayFail says how many more may fail, and how many when all is whole.
func mayFail(n, whole int, domain string) string {
	var text string
	switch n {
	case 0, -1:
		text = "no " + domain + " may fail"
	case 1:
		text = "any 1 " + domain + " may fail"
	default:
		text = fmt.Sprintf("any %d %ss may fail", n, domain)
	}
	if n < whole {
		text += fmt.Sprintf(" (%d when whole)", whole)
	}
	return text
}

// mayFailOf is the same for new packs.
func mayFailOf(coding string) string {
	c, err := cairn.ParseCoding(coding)
	if err != nil {
		return "unknown"
	}
	return mayFail(c.M, c.M, "node")
}

func size(n int64) string { return config.Size(n).String() }

// number is n with its noun, if any: 1 pack, 7,561 packs.
func number(n int64, noun string) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	switch {
	case noun == "":
		return text
	case n != 1:
		noun += "s"
	}
	return text + " " + noun
}

// since is a length of time for people.
func since(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < time.Minute {
		return d.Round(time.Second).String()
	}
	d = d.Round(time.Minute)
	if d >= 48*time.Hour {
		return fmt.Sprintf("%.0f d", d.Hours()/24)
	}
	return strings.TrimSuffix(d.String(), "0s")
}
