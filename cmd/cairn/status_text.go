package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/scrub"
)

// headings are what a status begins with.
func heading(state string) string { return strings.ToUpper(strings.ReplaceAll(state, "-", " ")) }

// indented is how far the text stands in, behind the headings.
const indented = 11

// statusText is a status for a person.
func statusText(s engine.Status, serving bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-*s%s\n", indented, heading(s.State), s.Summary)
	if !serving {
		b.WriteString("  no gateway runs: nothing is served and nothing is sent to nodes until `cairn serve`\n")
	}
	for _, wrong := range s.Wrong {
		fmt.Fprintf(&b, "  %s\n", wrong)
	}
	if s.HereOnly > 0 && len(s.Nodes) > 0 {
		fmt.Fprintf(&b, "  %s not on the nodes yet, the oldest for %s\n", bytesText(s.HereOnly), ago(s.OldestHere))
	}
	for i, do := range s.Do {
		fmt.Fprintf(&b, "%-*s%d. %s\n", indented, first(i, "DO NOW"), i+1, todoText(do))
	}
	for i, text := range s.Wait {
		fmt.Fprintf(&b, "%-*s%s\n", indented, first(i, "CAN WAIT"), text)
	}
	if len(s.Nodes) > 0 {
		b.WriteString(nodesTable(s.Nodes))
	}
	if s.AsOf.IsZero() {
		return b.String()
	}
	b.WriteString(totalsText(s))
	if len(s.Nodes) > 0 {
		b.WriteString(recoverableText(s.Recoverable))
	}
	return b.String()
}

// first is the heading of the first line only.
func first(i int, text string) string {
	if i > 0 {
		return ""
	}
	return text
}

func todoText(t engine.Todo) string {
	if t.Command == "" {
		return t.Text
	}
	return fmt.Sprintf("%-22s  %s", t.Command, t.Text)
}

// totalsText is two lines of figures.
func totalsText(s engine.Status) string {
	parts := []string{count(s.Objects, "object"), bytesText(s.Bytes) + " in " + count(int64(s.Packs), "pack")}
	if s.Fleet.Coding != "" {
		parts[1] += ", new ones " + s.Fleet.Coding
		usable := "usable " + bytesText(s.Fleet.Usable)
		if s.FullIn > 0 {
			usable += fmt.Sprintf(", full in about %.0f days", s.FullIn)
		}
		parts = append(parts, usable)
	}
	if c := s.Care; c != nil && c.Nines > 0 && s.Packs > 0 {
		parts = append(parts, fmt.Sprintf("%.1f nines a year", c.Nines))
	}
	if text := verifiedText(s.Care); text != "" {
		parts = append(parts, text)
	}
	parts = append(parts, "only here "+bytesText(s.HereOnly))
	return strings.Join(parts, " · ") + "\n" + fmt.Sprintf("stage %s of %s · %s for %s · cache hits %.0f %% · up %s · store %s\n", bytesText(s.StagedBytes), bytesText(s.StageLimit),
		count(s.Fsyncs, "fsync"), count(int64(s.Writes), "write"), 100*s.CacheHits, ago(s.Uptime), s.StoreID)
}

// verifiedText says how long ago every byte on the nodes was proven at least once.
func verifiedText(c *scrub.Health) string {
	switch {
	case c == nil || c.Packs == 0 || len(c.Coverage) == 0:
		return ""
	case c.Oldest < 0:
		return "first round of scrub not through yet"
	}
	return "every byte proven in the last " + ago(c.Oldest)
}

// nodesTable is one line for each node.
func nodesTable(nodes []engine.NodeState) string {
	rows := [][]string{{"NODE", "KIND", "OPERATOR", "STATE", "WHY", "USED/QUOTA", "READ P95", "GOOD READS", "TRAFFIC/MONTH", "WIPE-PROOF"}}
	for _, n := range nodes {
		p95, why := "-", n.Why
		if n.P95 > 0 {
			p95 = fmt.Sprintf("%.0f ms", n.P95)
		}
		if why != "" && n.State != "ok" && n.Since >= 1 {
			why += " " + ago(n.Since)
		}
		rows = append(rows, []string{n.Name, n.Kind, n.Operator, n.State, why, usedText(n), p95, goodText(n), trafficText(n), orDash(n.WipeProof)})
	}
	return columns(rows)
}

// goodText is the share of looks that went well, and the wrong replies if any.
func goodText(n engine.NodeState) string {
	text := "-"
	if n.Looks > 0 {
		text = strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", 100*n.Good), "0"), ".") + " %"
	}
	switch wrong := count(int64(n.Wrong), "") + " wrong"; {
	case n.Wrong == 0:
	case n.Looks == 0 || text == "100 %": // it answers well, and lies
		return wrong
	default:
		text += " (" + wrong + ")"
	}
	return text
}

// trafficText is what went to and from the node this month, of what may.
func trafficText(n engine.NodeState) string {
	limit := "-"
	if n.TrafficLimit > 0 {
		limit = bytesText(n.TrafficLimit)
	}
	return bytesText(n.Traffic) + "/" + limit
}

// usedText is what shards use of what may be used: the quota that a person set,
// else what the node has room for.
func usedText(n engine.NodeState) string {
	quota := "-"
	switch {
	case n.Quota > 0:
		quota = bytesText(n.Quota)
	case n.Known:
		quota = bytesText(n.Used + n.Free)
	}
	return bytesText(n.Used) + "/" + quota
}

// recoverableText is one line on what would come back, were this machine gone.
func recoverableText(r engine.Recoverable) string {
	parts := []string{"no root yet"}
	if r.Root > 0 {
		parts[0] = fmt.Sprintf("root %d on %d of %s, %s ago", r.Root, r.RootOn, count(int64(r.RootOf), "node"), ago(r.RootAge))
	}
	if r.Checkpoint {
		parts = append(parts, "checkpoint "+ago(r.CheckpointAge)+" ago")
	} else {
		parts = append(parts, "no checkpoint yet")
	}
	if !r.Kit.At.IsZero() {
		kit := "kit " + ago(time.Since(r.Kit.At).Seconds()) + " old"
		if r.Kit.Stale {
			kit += ", out of date"
		}
		parts = append(parts, kit)
	}
	if r.Rehearsed != nil {
		parts = append(parts, fmt.Sprintf("rehearsed %s ago in %s", ago(time.Since(r.Rehearsed.At).Seconds()), ago(r.Rehearsed.Took)))
	}
	for _, k := range r.Kept {
		if k.Bytes > 0 {
			parts = append(parts, fmt.Sprintf("kept: %s of %s ago", k.Name, ago(k.Age)))
		}
	}
	return "recovery: " + strings.Join(parts, " · ") + "\n"
}

// withoutText says what would be left.
func withoutText(w engine.Without) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Without %s:\n", strings.Join(w.Nodes, ", "))
	rows := [][]string{{"  readable", fmt.Sprintf("%s, %s", count(w.Readable.Packs, "pack"), bytesText(w.Readable.Bytes))}}
	if w.Unreadable.Packs > 0 {
		rows = append(rows, []string{"  not readable", fmt.Sprintf("%s, %s", count(w.Unreadable.Packs, "pack"), bytesText(w.Unreadable.Bytes))})
	} else if w.Readable.Packs > 0 {
		more := "and no further " + w.Domain + " may fail"
		if w.MayFail > 0 {
			more = fmt.Sprintf("and %s may fail on top of that", count(int64(w.MayFail), "further "+w.Domain))
		}
		rows = append(rows, []string{"", more})
	}
	writes := "no: objects stay on this machine until nodes are back"
	if w.Writable {
		writes = "yes"
		if w.Coding != "" {
			writes += ", new packs " + w.Coding
		}
	}
	rows = append(rows, []string{"  writable", writes})
	if len(w.Left) > 0 {
		rows = append(rows, []string{"  left", strings.Join(w.Left, ", ")})
	}
	b.WriteString(columns(rows))
	return b.String()
}
