package demo

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/spoken"
	"github.com/cairn-storage/cairn/layout"
)

// running is a demo in this process, talked to in JSON.
type running struct {
	t     *testing.T
	ready ready
	say   io.WriteCloser
	lines *bufio.Scanner
	stop  context.CancelFunc
	ended chan error
}

// begin starts a demo and waits until it is ready.
func begin(t *testing.T, c Config) *running {
	t.Helper()
	in, say := io.Pipe()
	hear, out := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{t: t, say: say, lines: bufio.NewScanner(hear), stop: cancel, ended: make(chan error, 1)}
	r.lines.Buffer(nil, 1<<20)
	c.JSON, c.In, c.Out = true, in, out
	go func() {
		err := Run(ctx, c)
		out.Close()
		in.Close() // lets the reader of commands go
		r.ended <- err
		close(r.ended)
	}()
	t.Cleanup(func() { cancel(); <-r.ended })
	if !r.lines.Scan() {
		t.Fatalf("the demo does not get ready: %v", <-r.ended)
	}
	if err := json.Unmarshal(r.lines.Bytes(), &r.ready); err != nil {
		t.Fatalf("%s: %v", r.lines.Text(), err)
	}
	return r
}

// ask says one command and decodes its one answer, good or not.
func ask[T any](r *running, command string) (a T, h head) {
	r.t.Helper()
	if _, err := io.WriteString(r.say, command+"\n"); err != nil {
		r.t.Fatal(err)
	}
	if !r.lines.Scan() {
		r.t.Fatalf("%s: the demo ended: %v", command, <-r.ended)
	}
	if err := errors.Join(json.Unmarshal(r.lines.Bytes(), &a), json.Unmarshal(r.lines.Bytes(), &h)); err != nil {
		r.t.Fatalf("%s answers %s: %v", command, r.lines.Text(), err)
	}
	return a, h
}

func must[T any](r *running, command string) T {
	r.t.Helper()
	a, h := ask[T](r, command)
	if !h.OK || h.Error != "" || h.Command != command {
		r.t.Fatalf("%s answers %+v", command, h)
	}
	return a
}

// client is one of the demo's bucket.
func (r *running) client() *client {
	return newClient(r.ready.Endpoint, r.ready.Bucket, keys{r.ready.AccessKey, r.ready.SecretKey, r.ready.Region})
}

func (r *running) end() {
	r.t.Helper()
	r.stop()
	if err := <-r.ended; err != nil {
		r.t.Errorf("the end: %v", err)
	}
}

// whole checks that every object is exact.
func (r *running) whole(want int) {
	r.t.Helper()
	v := must[verified](r, "verify")
	if v.Exact != want || v.Objects != want || v.Wrong+v.Missing+v.Failed+v.Refused != 0 {
		r.t.Fatalf("verify: %+v, want all %d exact", v, want)
	}
}

// holder is the number of a node that holds shard index of some pack.
func (r *running) holder(index uint8) (number int) {
	r.t.Helper()
	for i, n := range r.ready.Nodes {
		err := fs.WalkDir(os.DirFS(n.Dir), layout.PacksDir, func(path string, _ fs.DirEntry, err error) error {
			if s, bad := layout.ParsePath(path); err == nil && bad == nil && s.Index == index {
				number = i + 1
			}
			return err
		})
		if err != nil {
			r.t.Fatal(err)
		}
	}
	if number == 0 {
		r.t.Fatalf("no node holds a shard %d", index)
	}
	return number
}

// TestThreeMayDieOrLie is the demo's promise, through its own commands.
func TestThreeMayDieOrLie(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := begin(t, Config{Dir: dir})
	const n = 250
	l := must[loaded](r, fmt.Sprintf("load %d", n))
	if l.Objects != n || l.Refused != 0 || l.Waiting != "" || l.HereOnly != 0 {
		t.Fatalf("load: %+v", l)
	}
	if l.Packs < 1 || l.Files != 7*l.Packs {
		t.Errorf("%d packs coded 4+3 are %d files, want %d", l.Packs, l.Files, 7*l.Packs)
	}
	if l.Fsyncs < 1 {
		t.Error("no fsync was counted for acknowledged writes")
	}
	// The liar is asked for certain: it holds the first data shard.
	liar := r.holder(0)
	var others []int
	for n := 1; n <= 7; n++ {
		if n != liar {
			others = append(others, n)
		}
	}
	must[touched](r, fmt.Sprint("kill ", others[0]))
	must[touched](r, fmt.Sprint("kill ", others[1]))
	must[touched](r, fmt.Sprint("lie ", liar))
	v := must[verified](r, "verify")
	if v.Exact != n || v.Objects != n {
		t.Fatalf("two killed and one lying: %+v", v)
	}
	if len(v.Liars) != 1 || v.Liars[0].Number != liar || v.Liars[0].Lies == 0 || v.Liars[0].Caught == 0 {
		t.Errorf("node %d lied, and verify tells of %+v", liar, v)
	}

	// Two more than may be missing: some reads are refused, none is wrong.
	must[touched](r, fmt.Sprint("kill ", others[2]))
	must[touched](r, fmt.Sprint("kill ", others[3]))
	v = must[verified](r, "verify")
	if v.Wrong+v.Missing+v.Failed != 0 || v.Exact+v.Refused != n {
		t.Errorf("four killed and one lying: %+v", v)
	}
	if v.Refused == 0 {
		t.Error("with four nodes killed all objects are still there: they did not come from the nodes")
	}
	for n := 1; n <= 7; n++ {
		if a := must[touched](r, fmt.Sprint("revive ", n)); a.Behaviour != "" {
			t.Errorf("revive %d: %q", n, a.Behaviour)
		}
	}
	r.whole(n)
	r.end()

	again := begin(t, Config{Dir: dir})
	defer again.end()
	if again.ready.AccessKey != r.ready.AccessKey || again.ready.SecretKey != r.ready.SecretKey || again.ready.Bucket != r.ready.Bucket {
		t.Error("keys or bucket are others after a restart")
	}
	again.whole(n)
}

// TestGoesOnWhereItsPortsAreTaken: addresses are kept where they can be, and
// changed in the store where they cannot.
func TestGoesOnWhereItsPortsAreTaken(t *testing.T) {
	t.Parallel()
	c := Config{Dir: t.TempDir(), Nodes: 2, Coding: cairn.Coding{K: 1, M: 1}}
	r := begin(t, c)
	must[loaded](r, "load 5")
	r.end()
	taken, err := net.Listen("tcp", r.ready.Nodes[0].Address)
	if err != nil {
		t.Skipf("somebody else has the port already: %v", err)
	}
	defer taken.Close()
	again := begin(t, c)
	defer again.end()
	if a, b := again.ready.Nodes[0].Address, r.ready.Nodes[0].Address; a == b {
		t.Errorf("node 1 listens at %s, which is taken", a)
	}
	must[loaded](again, "load 5")
	again.whole(10)
	for _, n := range must[statusReply](again, "status").Nodes {
		if n.State != "ok" {
			t.Errorf("node %+v", n)
		}
	}
}

func TestWrongBytesAreCalledWrong(t *testing.T) {
	t.Parallel()
	r := begin(t, Config{Nodes: 1, Coding: cairn.Coding{K: 1}})
	defer r.end()
	must[loaded](r, "load 10")
	// Somebody writes over one object and removes another: verify must see both.
	var s state
	b, err := os.ReadFile(filepath.Join(r.ready.Dir, stateFile))
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		t.Fatal(err)
	}
	o := objects{s.Seed}
	c := r.client()
	defer c.close()
	body := o.body(3)
	body[len(body)/2] ^= 1
	if err := c.put(t.Context(), o.key(3), body); err != nil {
		t.Fatal(err)
	}
	if _, err := c.do(t.Context(), http.MethodDelete, o.key(7), nil); err != nil {
		t.Fatal(err)
	}
	must[flushed](r, "flush")
	v, h := ask[verified](r, "verify")
	if h.OK || h.Error == "" || v.Wrong != 1 || v.Missing != 1 || v.Exact != 8 {
		t.Errorf("one object altered and one removed: %+v %+v", h, v)
	}
}

func TestBadCommandsAreOneLineAndChangeNothing(t *testing.T) {
	t.Parallel()
	r := begin(t, Config{Nodes: 3, Coding: cairn.Coding{K: 2, M: 1}})
	defer r.end()
	for _, c := range []string{"kill", "kill 4", "kill x", "kill 0", "slow 1", "slow 1 x", "lie 1 101", "lie 1 -1", "load 0", "load x", "dance", "verify 3", "kill 1 2", "revive"} {
		if _, h := ask[head](r, c); h.OK || h.Error == "" || h.Command != c {
			t.Errorf("%q answers %+v", c, h)
		}
	}
	if _, h := ask[head](r, "dance"); !strings.Contains(h.Error, spoken.Usage) {
		t.Errorf("an unknown command does not name the others: %s", h.Error)
	}
	for _, n := range must[statusReply](r, "status").Nodes {
		if n.State != "ok" || n.Behaviour != "" {
			t.Errorf("node %+v after bad commands", n)
		}
	}
	if a := must[touched](r, "slow 2 1"); a.Behaviour != "slow 1ms" {
		t.Errorf("slow: %+v", a)
	}
	must[flushed](r, "flush")
	if v := must[verified](r, "verify"); v.Objects != 0 {
		t.Errorf("nothing was loaded: %+v", v)
	}
}

func TestCommandsOnOneLineAreAnsweredOneByOne(t *testing.T) {
	t.Parallel()
	r := begin(t, Config{Nodes: 1, Coding: cairn.Coding{K: 1}})
	if _, err := io.WriteString(r.say, "help; ; nonsense;status;quit\n"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for r.lines.Scan() {
		var h head
		if err := json.Unmarshal(r.lines.Bytes(), &h); err != nil {
			t.Fatalf("%s: %v", r.lines.Text(), err)
		}
		got = append(got, fmt.Sprint(h.Command, h.OK))
	}
	if want := []string{"helptrue", "nonsensefalse", "statustrue", "quittrue"}; !slices.Equal(got, want) {
		t.Errorf("answers %v, want %v", got, want)
	}
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(r.ready.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s stayed behind: %v", r.ready.Dir, err)
	}
}

func TestEndOfInputEndsNoJSONDemo(t *testing.T) {
	t.Parallel()
	r := begin(t, Config{Nodes: 1, Coding: cairn.Coding{K: 1}})
	r.say.Close()
	c := r.client()
	defer c.close()
	for range 20 {
		if err := c.put(t.Context(), "still-there", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	answer, err := http.Get(r.ready.Admin + "/healthz")
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("healthz: %v %v", answer, err)
	}
	if err == nil {
		answer.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
	r.end()
}

func TestConversationForPeople(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := Run(t.Context(), Config{In: strings.NewReader("load 20; kill 3; verify\nstatus\nkill 9\nhelp"), Out: &out, Nodes: 3, Coding: cairn.Coding{K: 2, M: 1}})
	if err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{"3 throwaway SFTP nodes", "coded 2+1: any 1 may die or lie", "ready in ", "AWS_SECRET_ACCESS_KEY=", "aws s3 cp", "curl ",
		"20 attic-sized objects, ", "files on 3 nodes", "Node 3 (carol, 127.0.0.1:", "20 of 20 objects exact", "CAIRN SAYS", "kill: the node is 1 to 3, not \"9\"", "revive N"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if strings.Contains(text, "level=") || strings.Contains(text, "\t") {
		t.Error("log lines or tabs in the conversation")
	}
	t.Log("\n" + text)
}

func TestStartRefusesClearly(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "thesis.tex"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	kept := t.TempDir()
	begin(t, Config{Dir: kept, Nodes: 1, Coding: cairn.Coding{K: 1}}).end()
	held := t.TempDir()
	other := begin(t, Config{Dir: held, Nodes: 1, Coding: cairn.Coding{K: 1}})
	defer other.end()
	for _, c := range []struct {
		name  string
		c     Config
		class error
		says  string
	}{
		{"a directory with other things", Config{Dir: full}, cairn.ErrPrecondition, "thesis.tex"},
		{"a coding that needs more nodes", Config{Nodes: 3}, cairn.ErrInvalid, "4+3 needs 7 nodes"},
		{"a coding that is none", Config{Coding: cairn.Coding{K: 0, M: 3}}, cairn.ErrInvalid, "0+3"},
		{"too many nodes", Config{Nodes: 99}, cairn.ErrInvalid, "99 nodes"},
		{"another number of nodes than before", Config{Dir: kept, Nodes: 2, Coding: cairn.Coding{K: 1}}, cairn.ErrPrecondition, "has 1 node"},
		{"a directory in use", Config{Dir: held, Coding: cairn.Coding{K: 1}}, cairn.ErrUnavailable, "in use"},
	} {
		c.c.In, c.c.Out = strings.NewReader(""), io.Discard
		if err := Run(t.Context(), c.c); !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v that says %q", c.name, err, c.class, c.says)
		}
	}
	missing := filepath.Join(full, "new")
	if err := Run(t.Context(), Config{Dir: missing, Nodes: 3, In: strings.NewReader(""), Out: io.Discard}); err == nil {
		t.Error("4+3 on 3 nodes works")
	}
	if _, err := os.Stat(missing); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refusal left %s behind", missing)
	}
	if names, err := os.ReadDir(full); err != nil || len(names) != 1 {
		t.Errorf("the directory that was refused holds %v now, %v", names, err)
	}
}

// TestInterruptedStartGoesOn: whatever a start that was killed left behind, the
// next one makes a demo of it.
func TestInterruptedStartGoesOn(t *testing.T) {
	t.Parallel()
	for _, left := range []string{"gateway/secrets", "gateway/secrets.new", "hostkeys/1", "gateway/index"} {
		t.Run(left, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			watch := make(chan struct{})
			go func() {
				defer close(watch)
				for ctx.Err() == nil {
					if _, err := os.Stat(filepath.Join(dir, left)); err == nil {
						cancel()
					}
				}
			}()
			err := Run(ctx, Config{Dir: dir, In: strings.NewReader(""), Out: io.Discard, Nodes: 1, Coding: cairn.Coding{K: 1}, SyncDelay: time.Millisecond})
			cancel()
			<-watch
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Logf("the first start: %v", err)
			}
			r := begin(t, Config{Dir: dir, Coding: cairn.Coding{K: 1}})
			defer r.end()
			c := r.client()
			defer c.close()
			if err := c.put(t.Context(), "x", []byte("y")); err != nil {
				t.Fatal(err)
			}
			if b, err := c.get(t.Context(), "x"); err != nil || string(b) != "y" {
				t.Errorf("read back %q, %v", b, err)
			}
		})
	}
}
