package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// told is what a long verb says on the way, with --json.
type told struct {
	Done, Of, Bytes int64
}

// startVerb starts a verb; far is called with each report of how far it is, until
// the process ends. The result is its last line and how it ended.
func (m *machine) startVerb(far func(*exec.Cmd, told), words ...string) (last []byte, err error) {
	n := 1
	if words[0] == "node" {
		n = 2
	}
	args := append(append(append([]string{}, words[:n]...), "--config", m.config, "--json"), words[n:]...)
	ctx, cancel := context.WithTimeout(m.ctx, verbLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, m.bin, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		last = bytes.Clone(lines.Bytes())
		var line struct{ Progress *json.RawMessage }
		var p told
		if json.Unmarshal(last, &line) == nil && line.Progress != nil && json.Unmarshal(*line.Progress, &p) == nil {
			far(cmd, p)
		}
	}
	if err := cmd.Wait(); err != nil {
		return last, fmt.Errorf("%w: %s", err, stderr.String())
	}
	return last, nil
}

// killed runs a verb and ends it with kill -9 once it is so far, with what, which
// is the verb's own process where nil; it returns how far it was by its own words.
// One that ends before is a fault of the test.
func (m *machine) killed(what func(), enough func(told) bool, words ...string) (at told) {
	m.t.Helper()
	gone := false
	_, err := m.startVerb(func(cmd *exec.Cmd, p told) {
		if gone || !enough(p) {
			return
		}
		gone, at = true, p
		if what == nil {
			_ = cmd.Process.Kill() // which Wait tells
		} else {
			what()
		}
	}, words...)
	var exit *exec.ExitError
	switch {
	case !gone:
		m.t.Fatalf("%v was not far enough before it ended: %v", words, err)
	case !errors.As(err, &exit):
		m.t.Fatalf("%v, killed at %+v, ended well: %v", words, at, err)
	case what == nil && !strings.Contains(err.Error(), "killed"), what != nil && !strings.Contains(err.Error(), "same command"):
		m.t.Errorf("%v, killed at %+v: %v", words, at, err)
	}
	return at
}

// compacted is what recode tells at its end.
type compacted struct {
	Packs, Of, Made int64
	Live            int64 `json:"live_bytes"`
	LiveOf          int64 `json:"live_of_bytes"`
}

// worked is what rebuild, drain, rebalance and scrub tell at their end.
type worked struct {
	Made, Left, Wrong, Missing, Lost, Unread, Unknown, Extra, Written int64
	LeftSize                                                          int64 `json:"left_size"`
	Says                                                              []string
}

// known fails unless the files below packs/ of each node are those that the index
// knows: as many bytes, and a look at all of them finds nothing else but so many
// that were put and not recorded when a verb was killed: these are marked, and go
// at the first look after an hour.
func (g *gateway) known(dirs map[string]string, most int64) {
	g.t.Helper()
	r := jsonOf[worked](g, "scrub", "--full")
	if r.Wrong+r.Missing+r.Lost+r.Unread+r.Unknown+r.Left > 0 || r.Extra > most {
		g.t.Errorf("scrub: %+v", r)
	}
	var extra int64
	status := jsonOf[struct {
		Nodes []struct {
			Name string
			Used int64 `json:"used_bytes"`
		}
	}](g, "status")
	for _, n := range status.Nodes {
		var sum int64
		err := filepath.WalkDir(filepath.Join(dirs[n.Name], "packs"), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				var info fs.FileInfo
				if info, err = d.Info(); err == nil {
					sum += info.Size()
				}
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) || sum < n.Used || sum > n.Used && most == 0 {
			g.t.Errorf("on %s are %d bytes of shards, and the index knows of %d; %v", n.Name, sum, n.Used, err)
		}
		extra += sum - n.Used
	}
	if (extra > 0) != (r.Extra > 0) {
		g.t.Errorf("%d bytes that the index does not know are on the nodes, and scrub finds %d files", extra, r.Extra)
	}
}

// TestRecodeGoesOnAfterAKill: a store of two nodes grows to four, and its packs
// are written anew; the verb is killed, then the gateway that carries it out, and
// what was done each time stays done: it is counted pack by pack, and at the end
// nothing lies on the nodes that the index does not know.
func TestRecodeGoesOnAfterAKill(t *testing.T) {
	t.Parallel()
	ctx := limit(t, 3*time.Minute)
	program(t)
	objects, size := 4, 30<<20
	if long() {
		objects = 30
	}
	// The window of a recoding is an eighth of the stage here: two packs.
	s := newResume(t, ctx, "[store]\ncoding = \"auto\"\n[stage]\nsettle = \"10ms\"\nlimit = \"256MiB\"\n[scrub]\nbwlimit = \"128M\"\n", 2, objects, size)
	s.end()
	for _, name := range []string{"n3", "n4"} {
		s.dirs[name] = s.addLocal(name)
	}

	left := func() compacted { return jsonOf[compacted](s.gateway, "recode", "--dry-run") }
	whole := left()
	if whole.Of < 6 || whole.LiveOf < int64(objects*size) {
		t.Fatalf("to be coded anew: %+v", whole)
	}
	some := func(p told) bool { return p.Done >= 1 }
	// went is what is left after a verb that said that so many packs were done.
	went := func(before compacted, at told, how string) compacted {
		t.Helper()
		now := left()
		t.Logf("%s: told of %d of %d packs when it was killed; %d are left, %d MiB", how, at.Done, at.Of, now.Of, now.LiveOf>>20)
		if at.Of != before.Of || now.Of > before.Of-at.Done || now.Of == 0 || now.LiveOf >= before.LiveOf {
			t.Errorf("%s: of %+v %d packs were done, and %+v are left", how, before, at.Done, now)
		}
		return now
	}
	rest := went(whole, s.killed(nil, some, "recode"), "the verb")
	s.start()
	rest = went(rest, s.killed(s.kill, some, "recode"), "the gateway")
	// In the middle of a window: what is lost is less than it.
	before := rest
	at := s.killed(nil, func(p told) bool { return p.Bytes > 0 }, "recode")
	if rest = left(); rest.Of > before.Of-at.Done || rest.Of == 0 {
		t.Errorf("killed at %+v of %+v: %+v are left", at, before, rest)
	}

	s.start()
	end := jsonOf[compacted](s.gateway, "recode")
	if end.Of != rest.Of || end.Packs != rest.Of || end.Live != rest.LiveOf {
		t.Errorf("%+v were left, and were done as %+v", rest, end)
	}
	if again := left(); again.Of != 0 {
		t.Errorf("left at the end: %+v", again)
	}
	s.whole()
	s.unstaged()
	s.known(s.dirs, 0)
	figure(t, "%d packs, %d MiB coded anew; %d by the run that was not killed", whole.Of, whole.LiveOf>>20, end.Packs)
}

// TestRecodeByItselfGoesOnAfterAKill: the same, and nobody typed anything: a
// gateway that runs codes old packs anew ten minutes after nodes were added.
func TestRecodeByItselfGoesOnAfterAKill(t *testing.T) {
	onlyLong(t)
	t.Parallel()
	ctx := limit(t, 5*time.Minute)
	program(t)
	s := newResume(t, ctx, "[store]\ncoding = \"auto\"\n[stage]\nsettle = \"10ms\"\nlimit = \"256MiB\"\n[scrub]\nbwlimit = \"16M\"\n", 2, 6, 30<<20)
	for _, name := range []string{"n3", "n4"} {
		s.dirs[name] = s.addLocal(name)
	}
	older := func() int64 {
		return jsonOf[struct {
			Durability struct{ Older struct{ Packs int64 } }
		}](s.gateway, "status").Durability.Older.Packs
	}
	until := func(what string, ok func(int64) bool) (n int64) {
		eventually(t, ctx, what, func(context.Context) error {
			if n = older(); !ok(n) {
				return fmt.Errorf("%d packs", n)
			}
			return nil
		})
		return n
	}
	whole := until("old packs are told of", func(n int64) bool { return n >= 10 })
	before := until("some are coded anew", func(n int64) bool { return n < whole })
	s.kill()
	began := jsonOf[compacted](s.gateway, "recode", "--dry-run")
	if began.Of == 0 || began.Of > before {
		t.Fatalf("%d of %d packs were old when it was killed, %+v after", before, whole, began)
	}
	s.start()
	until("the rest is coded anew", func(n int64) bool {
		return n <= whole-before && jsonOf[compacted](s.gateway, "recode", "--dry-run").Of == 0
	})
	s.whole()
	s.unstaged()
	s.known(s.dirs, 0)
	figure(t, "%d packs coded anew by itself, %d of them after the kill", whole, began.Of)
}

// inFlight is how many shards repair has on their way at a time: put, perhaps, and
// not recorded, when it is killed.
const inFlight = 8

// TestVerbsGoOnAfterAKill: rebuild, drain and rebalance, each killed in the middle:
// the next run makes or moves what is left, shard by shard, and nothing is left
// over on the nodes.
func TestVerbsGoOnAfterAKill(t *testing.T) {
	t.Parallel()
	ctx := limit(t, 3*time.Minute)
	program(t)
	packs := 40
	if long() {
		packs = 300
	}
	s := newResume(t, ctx, "[store]\ncoding = \"2+1\"\n[stage]\nsettle = \"10ms\"\n", 4, 0, 0)
	s.load(packs, 20_000, true)
	s.end()
	const shard = 10 << 10 // at least a shard of 20,000 bytes coded 2+1, padded
	slow := fmt.Sprintf("%dK", packs*5)
	// bring has the gateway see to what is staged.
	bring := func() { s.start(); s.unstaged(); s.end() }
	for n, c := range []struct {
		verb  []string
		node  string // that it fills, or empties
		begin func()
	}{
		{[]string{"rebuild", "n1"}, "n1", func() {
			if err := errors.Join(os.RemoveAll(s.dirs["n1"]+"/packs"), os.Mkdir(s.dirs["n1"]+"/packs", 0o700)); err != nil {
				t.Fatal(err)
			}
		}},
		{[]string{"node", "drain", "n2"}, "n2", func() {}},
		{[]string{"rebalance"}, "n2", func() {
			s.do("node", "set", "n2", "--state", "ok")
			for name := range s.dirs { // or all of it is next to nothing
				s.do("node", "set", name, "--capacity", fmt.Sprintf("%dK", packs*60))
			}
			bring()
		}},
	} {
		name, node := strings.Join(c.verb, " "), s.dirs[c.node]
		held := len(shardFiles(t, node))
		c.begin()
		before := jsonOf[worked](s.gateway, append(c.verb, "--dry-run")...)
		at := s.killed(nil, func(p told) bool { return p.Done >= 3 }, append(c.verb, "--bwlimit", slow)...)
		put := len(shardFiles(t, node))
		after := jsonOf[worked](s.gateway, append(c.verb, "--dry-run")...)
		end := jsonOf[worked](s.gateway, c.verb...)
		t.Logf("%s: killed at %d of %d; %d made by the next run: %v", name, at.Done, at.Of, end.Made, end.Says)
		if end.Left > 0 || end.Made == 0 || at.Of > 0 && end.Made > at.Of-at.Done {
			t.Errorf("%s: killed at %+v, then %+v", name, at, end)
		}
		if again := jsonOf[worked](s.gateway, c.verb...); again.Made > 0 {
			t.Errorf("%s once more: %+v", name, again)
		}
		bring()
		s.known(s.dirs, inFlight*int64(n+1))
		switch now := len(shardFiles(t, node)); c.verb[0] {
		case "rebuild": // what stood there when it was killed is not made again
			if int64(put)+end.Made < int64(held) || int64(put)+end.Made > int64(held)+inFlight || now != held {
				t.Errorf("%s: %d shards stood there, %d after the kill, %d were made, and %d stand there", name, held, put, end.Made, now)
			}
		case "node": // what was moved is not moved again, and nothing stays
			if end.Made > int64(put) || put >= held || now > 0 {
				t.Errorf("%s: %d shards stood there, %d after the kill, %d were moved, and %d stand there", name, held, put, end.Made, now)
			}
		case "rebalance":
			if put == 0 || after.LeftSize >= before.LeftSize || end.Written > after.LeftSize+inFlight*shard {
				t.Errorf("%s: %+v to move, %+v after the kill, and %+v", name, before, after, end)
			}
		}
	}
	s.start()
	s.whole()
	s.end()
}
