package integration

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestAfternoon: seven SFTP nodes, one lying, one wiped, one unmounted and back,
// one full, one drained and removed, while clients put and get; the verbs bring
// every pack back to n, no write is refused and every read exact. The words are
// those of doc/operations.md: CAIRN_WORDS=FILE has them written there, and
// CAIRN_PACKS=N says of how many packs.
func TestAfternoon(t *testing.T) {
	t.Parallel() // most of it is waiting
	ctx := limit(t, 2*time.Minute)
	program(t)
	packs := 12
	if long() {
		packs = 2000
	}
	if n, err := strconv.Atoi(os.Getenv("CAIRN_PACKS")); err == nil {
		packs = n
	}
	a, small := newAfternoon(t, ctx, packs)
	a.shows("any 2 operators may fail")
	stop := a.clients(packs)
	defer stop()

	// dora lies.
	dora := a.boxes["dora"]
	for _, name := range shardFiles(t, dora.dir) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/3] ^= 0x40
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := a.run("scrub", "--node", "dora", "--full")
	if r.Status != 5 {
		t.Errorf("scrub of a liar: %+v", r)
	}
	a.keep(r, "scrub", "--node", "dora", "--full")
	a.shows("dora: quarantined")
	if text := a.types("node", "evidence", "dora"); !strings.Contains(text, "  yes\n") {
		t.Errorf("no wrong bytes were confirmed:\n%s", text)
	}
	a.types("repair")

	// carol's disk was replaced; the marker and the rest were copied, packs/ not.
	carol := a.boxes["carol"]
	carol.stop() // else files that it has open are read on, wiped or not
	if err := errors.Join(os.RemoveAll(filepath.Join(carol.dir, "packs")), os.Mkdir(filepath.Join(carol.dir, "packs"), 0o700)); err != nil {
		t.Fatal(err)
	}
	carol.start()
	r = a.run("rebuild", "carol")
	a.keep(r, "rebuild", "carol")
	if on := len(shardFiles(t, carol.dir)); !strings.Contains(r.Stdout, "shards made again, ") || on < packs/10 {
		t.Errorf("rebuild, %d files on it: %+v", on, r)
	}
	a.types("rebuild", "carol")

	// bob's disk is not mounted: an empty directory answers. Then it is back.
	bob := a.boxes["bob"]
	bob.stop()
	held := shardFiles(t, bob.dir)
	if err := errors.Join(os.Rename(bob.dir, bob.dir+".disk"), os.Mkdir(bob.dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	bob.start()
	a.shows("bob: offline")
	// Nothing is made again for it yet: its shards are away, not missing.
	a.becomes("bob's shards are away", func(s afternoonStatus) bool {
		return s.Care.Shards.Away >= int64(len(held))/2 && s.Care.Shards.Missing == 0
	})
	bob.stop()
	if left, err := os.ReadDir(bob.dir); err != nil || len(left) > 0 {
		t.Errorf("something was made below the mount point: %v, %v", left, err)
	}
	if err := errors.Join(os.Remove(bob.dir), os.Rename(bob.dir+".disk", bob.dir)); err != nil {
		t.Fatal(err)
	}
	bob.start()
	a.becomes("bob is back", func(s afternoonStatus) bool {
		return slices.Contains(s.Nodes, struct{ Name, State string }{"bob", "ok"})
	})
	for _, name := range held {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("bob is back: %v", err)
		}
	}

	// erik's own files fill his disk.
	films := filepath.Join(filepath.Dir(a.boxes["erik"].dir), "films")
	if small {
		fills(t, films)
		a.shows("erik: full")
	}

	// fay leaves.
	a.types("node", "drain", "fay")
	a.types("node", "remove", "fay")

	// dora's owner replaced the memory; erik threw the films away.
	a.types("node", "reset", "dora")
	if err := os.Remove(films); err != nil && small {
		t.Error(err)
	}
	stop()
	a.do("flush")
	a.unstaged()
	a.types("repair")
	a.becomes("every pack is whole and any 2 operators may fail", func(s afternoonStatus) bool {
		return len(s.Durability.Missing) == 1 && s.Durability.MayFail == 2
	})
	if text := a.types("scrub", "--full"); !strings.Contains(text, "everything that was looked at is as it should be") {
		t.Errorf("scrub at the end:\n%s", text)
	}
	if _, errs := Each(ctx, int(a.written.Load()), 8, a.get); len(errs) > 0 {
		t.Errorf("%d of %d objects do not read at the end, the first: %v", len(errs), a.written.Load(), errs[0])
	}
	if err := a.first.Load(); err != nil {
		t.Errorf("meanwhile %d writes were refused and %d of %d reads were not exact, the first: %v", a.refused.Load(), a.wrong.Load(), a.reads.Load(), *err)
	}
	a.types("events", "--since", "1h")
	a.end()
	figure(t, "%d packs; meanwhile %d objects written and %d read, every one exact, none refused", packs, a.written.Load()-int64(packs), a.reads.Load())
	if to := os.Getenv("CAIRN_WORDS"); to != "" {
		if err := os.WriteFile(to, []byte(a.words.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
