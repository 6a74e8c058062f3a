package demo

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/cairn-storage/cairn/config"
)

const help = `load [N]            put N objects of the sizes of a Nix cache (2,000 when not said), 50 at a time, and send them to the nodes
verify              read every object that load put, ever, and compare every byte
kill N              node N closes its port and ends its connections, as a machine without power does
lie N [percent]     node N flips bits in that share of its replies, in all when not said
slow N ms           node N takes so long for each operation
lose N              node N is killed and never comes back: what it held is made again at once, on nodes that hold nothing of the same pack;
                    with as many nodes as shards there is none: begin with --nodes 8 to see it
revive N            node N behaves well again
flush               send what only this machine holds to the nodes
status              nodes, packs and what the gateway makes of them
quit                end; several commands can stand on a line: kill 3; lie 2; verify`

// said is an answer that is only text.
type said struct {
	head
	Text string `json:"text,omitempty"`
}

func (r *said) text() string { return r.Text }

// greeting is what a person sees first.
func (d *demo) greeting(took time.Duration) string {
	var b strings.Builder
	kind := "throwaway "
	if d.c.Dir != "" {
		kind = ""
	}
	may := fmt.Sprintf("any %d may die or lie", d.coding.M)
	if d.coding.M == 0 {
		may = "none may die"
	}
	fmt.Fprintf(&b, "%-110s ready in %s\n", fmt.Sprintf("cairn demo: %d %sSFTP nodes on this machine, coded %v: %s.", len(d.nodes), kind, d.coding, may), seconds(took.Seconds()))
	fmt.Fprintf(&b, "  S3      %s  region %s  bucket %s        health, metrics  %s/healthz  /metrics\n", d.endpoint(), region, bucket, d.adminURL())
	fmt.Fprintf(&b, "  try     export AWS_ENDPOINT_URL=%s AWS_DEFAULT_REGION=%s AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s\n", d.endpoint(), region, d.keys.id, d.keys.secret)
	fmt.Fprintf(&b, "          aws s3 cp FILE s3://%s/            aws s3 ls s3://%s\n", bucket, bucket)
	fmt.Fprintf(&b, "          curl --aws-sigv4 aws:amz:%s:s3 --user \"$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY\" -H 'x-amz-content-sha256: UNSIGNED-PAYLOAD' -T FILE %s/%s/FILE\n", region, d.endpoint(), bucket)
	stays := "and goes away with Ctrl-C (--dir keeps it)"
	if d.c.Dir != "" {
		stays = "and stays there"
	}
	fmt.Fprintf(&b, "  All of it is in %s %s.   Type help, or: load, kill 3, lie 2, revive 3, verify\n", d.dir, stays)
	return b.String()
}

func (d *demo) farewell() string {
	if d.c.Dir != "" {
		return "Everything stays in " + d.dir + ".   Next: cairn init"
	}
	return "Next: cairn init"
}

func (r *loaded) text() string {
	s := fmt.Sprintf("%s, %s -> %s -> %s on %s (%.3f an object), %s (%.3f an object), %s",
		plural(r.Objects, "attic-sized object"), config.Size(r.Bytes), plural(r.Packs, "pack"), plural(r.Files, "file"), plural(r.Nodes, "node"), r.PerObject, plural(r.Fsyncs, "fsync"), r.Fsync, seconds(r.Seconds))
	if r.HereOnly > 0 {
		s += fmt.Sprintf("\n%s are on this machine only, and safe there, until enough nodes take them: %s", config.Size(r.HereOnly), r.Waiting)
	}
	return s
}

func (r *verified) text() string {
	if r.Objects == 0 {
		return "There is nothing to verify yet: load puts objects."
	}
	var b strings.Builder
	took := fmt.Sprintf("%s compared, %s", config.Size(r.Bytes), seconds(r.Seconds))
	switch {
	case r.Exact == r.Objects:
		fmt.Fprintf(&b, "%s of %s objects exact (%s).", count(r.Exact), count(r.Objects), took)
	case r.Left < r.Nodes:
		fmt.Fprintf(&b, "%s exact (their bytes lie on the %s left; %s), %s refused with 503.  Wrong bytes served: %s.", count(r.Exact), plural(r.Left, "good node"), took, count(r.Refused), count(r.Wrong))
	default:
		fmt.Fprintf(&b, "%s exact (%s), %s refused with 503.  Wrong bytes served: %s.", count(r.Exact), took, count(r.Refused), count(r.Wrong))
	}
	for _, l := range r.Liars {
		state := ""
		if l.State != "ok" {
			state = ", is " + l.State
		}
		fmt.Fprintf(&b, "  Node %d sent wrong bytes %s, caught in %s%s.", l.Number, plural(l.Lies, "time"), plural(l.Caught, "read"), state)
	}
	if len(r.Liars) > 0 && r.Exact == r.Objects {
		fmt.Fprintf(&b, "  Every read of them was rebuilt from %d good shards.", r.K)
	}
	if r.Refused > 0 && len(r.Killed) > 0 {
		var cures []string
		for _, n := range r.Killed {
			cures = append(cures, "revive "+strconv.Itoa(n))
		}
		b.WriteString("   -> " + strings.Join(cures, ", "))
	}
	if r.Staged > 0 {
		fmt.Fprintf(&b, "\n%s had not left this machine, and their objects were read here.", plural(r.Staged, "pack"))
	}
	return b.String()
}

func (r *touched) text() string {
	var what []string
	if r.lost {
		what = append(what, "is gone for good: what it held is made again on the others, where one holds nothing of the same pack")
	} else if r.killed {
		what = append(what, "is killed: its port is closed and its connections are gone")
	}
	if r.lie > 0 {
		what = append(what, fmt.Sprintf("flips bits in %d %% of its replies", r.lie))
	}
	if r.slow > 0 {
		what = append(what, fmt.Sprintf("takes %v for each operation", r.slow))
	}
	if len(what) == 0 {
		what = append(what, "behaves well")
	}
	return fmt.Sprintf("Node %d (%s, %s) %s.", r.Number, r.Operator, r.Address, strings.Join(what, " and "))
}

func (r *flushed) text() string {
	if r.HereOnly > 0 {
		return fmt.Sprintf("%s are on this machine only, after %s.", config.Size(r.HereOnly), seconds(r.Seconds))
	}
	return fmt.Sprintf("Everything is on the nodes, in %s, after %s.", plural(r.Packs, "pack"), seconds(r.Seconds))
}

func (r *statusReply) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", strings.ToUpper(strings.ReplaceAll(r.State, "-", " ")), r.Summary)
	const row = "%-4v %-8s %-16s %-22s %-12s %7s %9s %6s\n"
	fmt.Fprintf(&b, row, "NODE", "OPERATOR", "ADDRESS", "YOU MADE IT", "CAIRN SAYS", "SHARDS", "READS", "WRONG")
	for _, n := range r.Nodes {
		p95, made := "-", n.Behaviour
		if n.P95 > 0 {
			p95 = fmt.Sprintf("%.1f ms", n.P95)
		}
		if made == "" {
			made = "-"
		}
		fmt.Fprintf(&b, row, n.Number, n.Operator, n.Address, made, n.State, count(n.Files), p95, count(n.Wrong))
	}
	fmt.Fprintf(&b, "%s · %s in %s · on this machine only %s · %s by the gateway",
		plural(r.Objects, "object"), config.Size(r.Bytes), plural(r.Packs, "pack"), config.Size(r.HereOnly), plural(r.Fsyncs, "fsync"))
	return b.String()
}

// count is a number for people: 2,000.
func count[T int | int64 | uint64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural is so many things.
func plural[T int | int64 | uint64](n T, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return count(n) + " " + thing + "s"
}

// seconds is a span for people: 0.04 s, 1.4 s, 75 s.
func seconds(s float64) string {
	switch {
	case s < 0.1:
		return fmt.Sprintf("%.2f s", s)
	case s < 10:
		return fmt.Sprintf("%.1f s", s)
	}
	return fmt.Sprintf("%.0f s", s)
}

// oneLine is err without line ends, as one answer has to be; a long list of
// causes is cut.
func oneLine(err error) string {
	const most = 600 // bytes
	s := strings.Join(strings.Fields(err.Error()), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + " ..."
	}
	return s
}

func indent(s string) string { return "  " + strings.ReplaceAll(s, "\n", "\n  ") }

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
