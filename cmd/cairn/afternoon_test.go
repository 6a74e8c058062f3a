package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/contribute"
	"golang.org/x/crypto/ssh"
)

// box is the SFTP server of an operator, on a port that stays.
type box struct {
	t       *testing.T
	name    string
	dir     string
	address string
	host    contribute.Key
	gateway ssh.PublicKey
	stop    func()
}

// start serves dir with room for so many bytes, 0 for as many as fit.
func (b *box) start(dir string, quota int64) {
	b.t.Helper()
	s, err := contribute.New(contribute.Config{Dir: dir, HostKey: b.host.Signer, Authorized: []ssh.PublicKey{b.gateway}, Quota: quota})
	must(b.t, err)
	address := b.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", address)
	must(b.t, err)
	b.address = ln.Addr().String()
	ctx, cancel := context.WithCancel(b.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.Serve(ctx, ln) })
	b.stop = func() { cancel(); wg.Wait() }
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

// used is the bytes of all files of the box.
func (b *box) used() (sum int64) {
	b.t.Helper()
	for _, name := range filesBelow(b.t, b.dir) {
		if info, err := os.Stat(name); err == nil { // one may have moved
			sum += info.Size()
		}
	}
	return sum
}

// afternoon is a machine with its boxes, and what was typed.
type afternoon struct {
	*machine
	boxes map[string]*box
	words strings.Builder
}

// types is again, and keeps what was said at last.
func (a *afternoon) types(args ...string) string {
	a.t.Helper()
	r := a.again(args...)
	fmt.Fprintf(&a.words, "$ cairn %s\n%s\n", strings.Join(args, " "), r.out)
	return r.out
}

// shows asks for the status until it says something.
func (a *afternoon) shows(says string) {
	a.t.Helper()
	r := a.until(says)
	fmt.Fprintf(&a.words, "$ cairn status --check    # exit status %d\n%s\n", r.status, r.out)
}

// back waits until a node is ok again.
func (a *afternoon) back(name string) {
	a.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		nodes := jsonOf[engine.Status](a.machine, "status").Nodes
		if i := slices.IndexFunc(nodes, func(n engine.NodeState) bool { return n.Name == name }); i >= 0 && nodes[i].State == "ok" {
			return
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("%s is not back: %+v", name, nodes)
		}
	}
}

// object is the content of the i-th object: no two packs are alike.
func object(i int) string {
	sum := sha256.Sum256(fmt.Append(nil, i))
	return strings.Repeat(hex.EncodeToString(sum[:]), 1000) // 64 KB
}

// TestAfternoon: seven SFTP nodes, one wiped, one lying, one unmounted and back,
// one full, one drained, while clients put and get; the verbs bring every pack
// back to n, and the words are those of doc/operations.md.
func TestAfternoon(t *testing.T) {
	packs := 12
	if os.Getenv("CAIRN_LONG") != "" {
		packs = 2000
	}
	if n, err := strconv.Atoi(os.Getenv("CAIRN_PACKS")); err == nil {
		packs = n
	}
	m := newStore(t, "store.coding = \"2+2\"\nstage.settle = \"10ms\"")
	a := &afternoon{machine: m, boxes: make(map[string]*box)}
	s := m.serve()
	line := jsonOf[nodeList](m, "node", "list").AuthorizedKey
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	must(t, err)
	for _, name := range []string{"alice", "bob", "carol", "dora", "erik", "fay", "gina"} {
		host, err := contribute.NewKey()
		must(t, err)
		b := &box{t: t, name: name, dir: m.path(name), host: host, gateway: key}
		must(t, os.Mkdir(b.dir, 0o700))
		b.start(b.dir, 0)
		a.boxes[name] = b
		m.ok("node", "add", "sftp://cairn@"+b.address+"/", "--name", name, "--host-key", host.Fingerprint(), "--no-checks")
	}
	defer func() {
		for _, b := range a.boxes {
			b.stop()
		}
	}()
	m.ok("bucket", "create", "cache")
	access := jsonOf[access](m, "access", "create", "--write", "cache", "--name", "attic")
	client := s3{t, s.Endpoint, access.ID, access.Secret}
	put := func(i int) int { status, _ := client.do("PUT", fmt.Sprintf("/cache/%d", i), object(i)); return status }
	for i := range packs {
		if status := put(i); status != 200 {
			t.Fatalf("put %d: %d", i, status)
		}
		m.ok("flush")
	}
	a.shows("any 2 operators may fail")
	// What is staged yet the store mends by itself.
	for deadline := time.Now().Add(time.Minute); jsonOf[engine.Status](m, "status").Staged > 1; <-time.After(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("packs do not leave the stage")
		}
	}

	// Clients go on all afternoon.
	var objects, refused, wrong atomic.Int64
	objects.Store(int64(packs))
	over := make(chan struct{})
	var clients sync.WaitGroup
	clients.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for i := packs; ; i++ {
			if status := put(i); status != 200 {
				refused.Add(1)
				i--
			} else {
				objects.Store(int64(i + 1))
			}
			if i%10 == 0 {
				m.run("flush") // packs go to nodes all the time
			}
			old := i * 7 % packs
			if status, got := client.do("GET", fmt.Sprintf("/cache/%d", old), ""); status != 200 || got != object(old) {
				wrong.Add(1)
			}
			select {
			case <-over:
				return
			case <-tick.C:
			}
		}
	})
	stopClients := sync.OnceFunc(func() { close(over); clients.Wait() })
	defer stopClients()

	// dora lies.
	for _, name := range filesBelow(t, m.path("dora/packs")) {
		b, err := os.ReadFile(name)
		must(t, err)
		b[len(b)/3] ^= 0x40
		must(t, os.WriteFile(name, b, 0o600))
	}
	r := m.run("scrub", "--node", "dora", "--full")
	if r.status != 5 {
		t.Errorf("scrub of a liar: %+v", r)
	}
	fmt.Fprintf(&a.words, "$ cairn scrub --node dora --full    # exit status %d\n%s%s\n", r.status, r.out, r.err)
	a.shows("dora: quarantined")
	if text := a.types("node", "evidence", "dora"); !strings.Contains(text, "  yes\n") {
		t.Errorf("no wrong bytes were confirmed:\n%s", text)
	}
	a.types("repair")

	// carol's disk was replaced; the marker and the rest were copied, packs/ not.
	carol := a.boxes["carol"]
	carol.stop() // else files that it has open are read on, wiped or not
	must(t, os.RemoveAll(m.path("carol/packs")))
	must(t, os.Mkdir(m.path("carol/packs"), 0o700))
	carol.start(carol.dir, 0)
	r = m.run("rebuild", "carol")
	fmt.Fprintf(&a.words, "$ cairn rebuild carol\n%s\n", r.out)
	if on := len(filesBelow(t, m.path("carol/packs"))); !strings.Contains(r.out, "shards made again, ") || on < packs/10 {
		t.Errorf("rebuild, %d files on it: %+v", on, r)
	}
	a.types("rebuild", "carol")

	// bob's disk is not mounted: an empty directory answers. Then it is back.
	bob := a.boxes["bob"]
	bob.stop()
	held := filesBelow(t, m.path("bob/packs"))
	empty := m.path("mountpoint")
	must(t, os.Mkdir(empty, 0o700))
	bob.start(empty, 0)
	a.shows("bob: offline")
	if left, err := os.ReadDir(empty); err != nil || len(left) > 0 {
		t.Errorf("something was made below the mount point: %v, %v", left, err)
	}
	// Nothing is made again for it yet: its shards are away, not missing.
	if c := jsonOf[engine.Status](m, "status").Care; c == nil || c.Shards.Away < int64(len(held))/2 || c.Shards.Missing > 0 {
		t.Errorf("with bob away, of %d shards: %+v", len(held), c)
	}
	bob.stop()
	bob.start(bob.dir, 0)
	a.back("bob")
	for _, name := range held {
		if _, err := os.Stat(name); err != nil {
			t.Errorf("bob is back: %v", err)
		}
	}

	// erik has no more room.
	erik := a.boxes["erik"]
	erik.stop()
	erik.start(erik.dir, erik.used())
	a.shows("erik: full")

	// fay leaves.
	a.types("node", "drain", "fay")
	a.types("node", "remove", "fay")

	// dora's owner replaced the memory.
	a.types("node", "reset", "dora")
	erik.stop()
	erik.start(erik.dir, 0)
	stopClients()
	m.ok("flush")
	m.unstaged()
	a.types("repair")
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); ; <-tick.C {
		st := jsonOf[engine.Status](m, "status")
		d := st.Durability
		if len(d.Missing) == 1 && d.MayFail == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("packs lack shards: %+v\n%s", d, m.run("status").out)
		}
	}
	if text := a.types("scrub", "--full"); !strings.Contains(text, "everything that was looked at is as it should be") {
		t.Errorf("scrub at the end:\n%s", text)
	}
	for i := range int(objects.Load()) {
		if status, got := client.do("GET", fmt.Sprintf("/cache/%d", i), ""); status != 200 || got != object(i) {
			t.Errorf("object %d: %d, %d bytes", i, status, len(got))
		}
	}
	if wrong.Load() > 0 || refused.Load() > objects.Load()/20 {
		t.Errorf("meanwhile %d reads were not exact and %d of %d writes refused", wrong.Load(), refused.Load(), objects.Load())
	}
	a.types("events", "--since", "1h")
	t.Logf("FIGURE TestAfternoon: %d objects written meanwhile, %d refused, every read exact", objects.Load()-int64(packs), refused.Load())
	if to := os.Getenv("CAIRN_WORDS"); to != "" {
		must(t, os.WriteFile(to, []byte(a.words.String()), 0o600))
	}
	http.DefaultClient.CloseIdleConnections()
	s.stop()
}
