package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cairn-storage/cairn/scrub"
)

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
		until := ""
		if d.MayFailWhole == 0 {
			until = "; until then some of them bear no failure at all"
		}
		v.wait("coded for fewer failures than new packs (%[3]s), from when there were fewer nodes: %[1]s, %[2]s: a gateway codes them anew by itself, `cairn recode` does it now; packs of records alone go after a later checkpoint%[4]s", number(d.Older.Packs, "pack"), size(d.Older.Bytes), s.Fleet.Coding, until)
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
