package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

// standing are the packs that have files on nodes, by where these lie.
func (b *burning) standing() map[string][]string {
	b.t.Helper()
	out := make(map[string][]string)
	for _, n := range b.nodes {
		if _, err := os.Stat(filepath.Join(b.path(n), "packs")); err != nil {
			continue // nothing was placed there yet
		}
		for _, file := range filesBelow(b.t, filepath.Join(b.path(n), "packs")) {
			id, _, _ := strings.Cut(filepath.Base(file), "-")
			if !slices.Contains(out[id], n) {
				out[id] = append(out[id], n)
			}
		}
	}
	return out
}

// filesBelow are the files below a directory.
func filesBelow(t *testing.T, dir string) (names []string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	}))
	return names
}

// hiding are two nodes without which nobody sees some of the packs that came
// after those of before, and none of those: and not the newest, of which then
// nobody knew that it is missing.
func (b *burning) hiding(before map[string][]string) (pair [2]string, packs int) {
	b.t.Helper()
	now := b.standing()
	newest := slices.Max(slices.Collect(func(yield func(string) bool) {
		for id := range now {
			if !yield(id) {
				return
			}
		}
	}))
	for i, x := range b.nodes {
		for _, y := range b.nodes[:i] {
			hidden, spoilt := 0, false
			for id, at := range now {
				if slices.ContainsFunc(at, func(n string) bool { return n != x && n != y }) {
					continue
				}
				hidden++
				spoilt = spoilt || before[id] != nil || id == newest
			}
			if !spoilt && hidden > packs {
				pair, packs = [2]string{x, y}, hidden
			}
		}
	}
	return pair, packs
}

// A gateway burns while more nodes are silent than packs can miss. Whoever
// accepts the loss is told what it is. When the nodes come back nothing of theirs
// goes, for being unknown least of all, and what only they had is back: but where
// somebody wrote, or deleted, since.
func TestSilentNodesComeBackAfterAnAcceptedLoss(t *testing.T) {
	m := newMachine(t, "")
	m.configure(fmt.Sprintf("kit = %q\nstore.coding = \"1+1\"\nstage.settle = \"10ms\"\n", m.path("kit.age")))
	m.ok("init", "--owner", m.path("owner"))
	b := &burning{machine: m, objects: make(map[string]string), nodes: []string{"alice", "bob", "carol", "dora", "erik", "fay"}}
	for _, name := range b.nodes {
		m.ok("node", "add", "local:"+m.path(name), "--no-checks")
	}
	s := m.serve()
	m.ok("bucket", "create", "cache")
	b.key = jsonOf[access](m, "access", "create", "--write", "cache")
	b.put(s, "early", 3)
	m.ok("key", "rotate") // ends with a checkpoint
	m.unstaged()
	before := b.standing()
	s.end(t)
	var pair [2]string
	hidden := 0
	for round := 0; hidden < 3; round++ {
		if round == 500 {
			t.Fatal("no two nodes hide enough")
		}
		s = m.serve()
		for range 8 { // each is a log pack of its own, on two nodes that are drawn
			b.put(s, fmt.Sprint("round", len(b.objects)), 1)
			m.ok("flush")
		}
		m.unstaged()
		s.end(t) // which may write one more
		pair, hidden = b.hiding(before)
	}
	b.burn()
	for _, n := range pair {
		must(t, os.Rename(m.path(n), m.path(n+"-away")))
	}

	recovery := []string{"recover", "--kit", m.path("kit.age"), "--identity", m.path("owner"), "--takeover"}
	r := m.run(recovery...)
	if r.status != 6 || !strings.Contains(r.err, "--accept-loss") || !strings.Contains(r.out, pair[0]) || !strings.Contains(r.out, pair[1]) {
		t.Fatalf("without a word on what only %s have: %+v", pair, r)
	}
	out := m.ok(append(recovery, "--accept-loss")...)
	for _, want := range []string{"4 of 6 answer", "LOSS    log pack", "records after", pair[0], pair[1], "come back by themselves"} {
		if !strings.Contains(out, want) {
			t.Errorf("recover does not say %q:\n%s", want, out)
		}
	}
	s = m.serve()
	client := s3{t, s.Endpoint, b.key.ID, b.key.Secret}
	var lost []string
	for name, want := range b.objects {
		switch status, got := client.do("GET", name, ""); {
		case status == 404:
			lost = append(lost, name)
		case status != 200 || got != want:
			t.Errorf("%s: %d, %d bytes", name, status, len(got))
		}
	}
	slices.Sort(lost)
	if len(lost) < 3 {
		t.Fatalf("%d packs are hidden, and only %s are missing", hidden, lost)
	}
	if text := m.run("status").out; !strings.Contains(text, "was not seen by the recovery") || !strings.Contains(text, "bring back "+pair[1]) && !strings.Contains(text, "bring back "+pair[0]) {
		t.Errorf("status does not say what was not seen yet:\n%s", text)
	}

	// Somebody goes on: one of the missing is written anew, one is deleted.
	b.objects[lost[0]] = "newer"
	if status, answer := client.do("PUT", lost[0], "newer"); status != 200 {
		t.Fatalf("put: %d %s", status, answer)
	}
	delete(b.objects, lost[1])
	if status, answer := client.do("DELETE", lost[1], ""); status != 204 {
		t.Fatalf("delete: %d %s", status, answer)
	}
	b.put(s, "new", 5)
	m.ok("flush")
	m.ok("compact") // nothing goes that only seems to be dead
	b.put(s, "newer", 1)
	m.ok("flush")

	// The nodes come back, with all they had.
	theirs := make(map[string][]string)
	for _, n := range pair {
		must(t, os.Rename(m.path(n+"-away"), m.path(n)))
		theirs[n] = filesBelow(t, filepath.Join(m.path(n), "packs"))
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); len(jsonOf[engine.Status](m, "status").Unseen) > 0; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("what came back is not seen:\n%s", m.run("status").out)
		}
	}
	m.again("scrub", "--full")
	b.exact(s)
	if status, _ := client.do("GET", lost[1], ""); status != 404 {
		t.Errorf("%s was deleted, and is back: %d", lost[1], status)
	}
	for n, files := range theirs {
		for _, file := range files {
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s lost a file: %v", n, err)
			}
		}
	}
	if text := m.run("status").out; strings.Contains(text, "was not seen by the recovery") {
		t.Errorf("status:\n%s", text)
	}
	s.end(t)

	// It is so in the log, too: the next gateway has all of it.
	b.burn()
	if out := m.ok(recovery...); !strings.Contains(out, "loss    everything spread is here") {
		t.Errorf("recovered once more:\n%s", out)
	}
	s = m.serve()
	b.exact(s)
	s.end(t)
}
