package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

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
	going := func(what string, ok func(compacted) bool) (c compacted) {
		eventually(t, ctx, what, func(context.Context) error {
			if c = jsonOf[struct{ Compacting compacted }](s.gateway, "status").Compacting; !ok(c) {
				return fmt.Errorf("%+v", c)
			}
			return nil
		})
		return c
	}
	at := going("some old packs are coded anew", func(c compacted) bool { return c.Packs > 0 })
	s.kill()
	left := jsonOf[compacted](s.gateway, "recode", "--dry-run")
	if at.Of < 10 || left.Of == 0 || left.Of > at.Of-at.Packs {
		t.Errorf("killed at %+v, %+v are left", at, left)
	}
	s.start()
	end := going("the rest is coded anew", func(c compacted) bool { return c.Of > 0 && c.Packs == c.Of })
	if end.Of != left.Of {
		t.Errorf("%+v were left, and were done as %+v", left, end)
	}
	s.whole()
	s.unstaged()
	s.known(s.dirs, 0)
	figure(t, "%d packs coded anew by itself, %d of them after the kill", at.Of, left.Of)
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
