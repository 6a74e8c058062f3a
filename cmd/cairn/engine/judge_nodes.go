package engine

import (
	"slices"
	"strings"
	"time"

	"github.com/cairn-storage/cairn/scrub"
)

// nodes is about each node, and about them together.
func (v *verdict) nodes() {
	s := v.s
	if len(s.Nodes) == 0 && s.AsOf.IsZero() {
		return // nobody knows
	}
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
		case "held":
			if v.begins() {
				continue
			}
			v.wrong(degraded, "%s: held: %s", n.Name, why)
		case "draining":
			v.wrong(degraded, "%s: draining: %s", n.Name, why)
			v.leaving(n.Name)
		case "paused":
			v.wrong(degraded, "%s: %s: %s", n.Name, n.State, why)
		case "full":
			v.wrong(degraded, "%s: full: %s", n.Name, why)
			v.wait("%s is full: packs go to the others; more room there, or `cairn rebalance`", n.Name)
		case "quarantined":
			v.wrong(degraded, "%s: quarantined: %s (cairn node evidence %s)", n.Name, why, n.Name)
			v.wait("%s sent wrong bytes: ask its owner about disk and memory; then `cairn node reset %s`, or drain and remove it", n.Name, n.Name)
		case "down", "offline":
			v.wrong(degraded, "%s: %s: %s", n.Name, n.State, why)
			if n.Unmarked {
				v.do("cairn node check "+n.Name+" --mark", "only if its disk is mounted there and cairn.json alone is missing: this looks whether what lies there is this node's, and writes the file again; else mount the disk")
			}
			v.wait("%s: once it is back, what it holds counts again and nothing needs to be done; else it is made again on others after repair.after (24h unless set), at once where few shards are left", n.Name)
		default:
			v.wrong(degraded, "%s: %s: %s", n.Name, n.State, why)
		}
	}
	if s.Alarm != "" {
		v.wrong(degraded, "%s", s.Alarm)
		v.do("cairn events --since 2h", "several nodes sent wrong bytes within an hour: suspect this machine (memory, network, an upgrade) before the nodes; repair waits")
	}
	switch {
	case s.Fleet.Coding != "":
	case v.begins():
		v.wrong(degraded, "not every node has answered yet")
		v.do("cairn status", "in a minute: nodes were asked only just now")
	default:
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

// startTime is how long after its start a gateway may not have heard of every
// node, and not have its root confirmed by enough of them to give them shards.
const startTime = time.Minute

// begins reports that nodes wait for the first looks of this gateway, or verb,
// and for nothing else.
func (v *verdict) begins() bool {
	return v.s.Uptime < startTime.Seconds() && slices.ContainsFunc(v.s.Nodes, func(n NodeState) bool { return n.State == "held" || n.State == "new" })
}

// recovery is about what would come back, were this machine gone.
func (v *verdict) recovery() {
	s := v.s
	if s.AsOf.IsZero() {
		return
	}
	before := len(s.Wrong)
	advise(s)
	if len(s.Unseen) > 0 {
		s.Wrong = append(s.Wrong, strings.Join(s.Unseen, ", ")+" was not seen by the recovery, nor since: what only stood there is missing, and nothing is deleted meanwhile")
		if away := v.away(); len(away) > 0 {
			v.do("cairn scrub", "bring back %s first: what only they have comes back by itself then, and this says what did; `cairn node remove NAME` gives one up, and what it had", strings.Join(away, " and "))
		}
	}
	if len(s.Wrong) > before {
		v.level = max(v.level, degraded)
	}
	if len(s.Recoverable.Forks) > 0 {
		v.level = max(v.level, atRisk)
		v.do("", "two gateways serve this store: stop this one (systemctl stop cairn) if the other took over, else stop the other and restart this one")
	}
	s.Wait = append(s.Wait, s.Recoverable.Advice...)
}
