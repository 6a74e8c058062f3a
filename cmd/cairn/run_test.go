package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/cmd/cairn/keep"
	"github.com/cairn-storage/cairn/scrub"
	"github.com/cairn-storage/cairn/store"
)

func TestExitStatusIsTheClass(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0}, {errors.New("bug"), 1}, {cairn.ErrInvalid, 2}, {cairn.ErrPrecondition, 3}, {cairn.ErrNotExist, 4}, {cairn.ErrCorrupt, 5},
		{cairn.ErrUnavailable, 6}, {cairn.ErrSlowDown, 6}, {cairn.ErrFull, 7}, {cairn.ErrDenied, 8}, {cairn.ErrLost, 9}, {cairn.ErrFork, 10},
	} {
		err := c.err
		if err != nil {
			err = fmt.Errorf("node alice: %w", err)
		}
		if got := exitStatus(err); got != c.want {
			t.Errorf("%v: %d, want %d", err, got, c.want)
		}
	}
}

func TestInterruptedIs130(t *testing.T) {
	m := newStore(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	if status := run(ctx, m.env(&out, &errs), []string{"status", "--config", m.path("cairn.toml")}); status != 130 || errs.String() != "cairn: interrupted\n" {
		t.Errorf("status %d, %q", status, errs.String())
	}
}

// What --dir moves is what was not put elsewhere.
func TestDirFlagMovesWhatLiesBelowIt(t *testing.T) {
	m := newMachine(t, "")
	for _, c := range []struct {
		more string
		want map[string]string
	}{
		{"", map[string]string{"identity": "/elsewhere/identity", "socket": "/elsewhere/admin.sock", "cache": "/elsewhere/cache"}},
		{"identity = \"/run/id\"\ncache.dir = \"/fast\"", map[string]string{"identity": "/run/id", "socket": "/elsewhere/admin.sock", "cache": "/fast"}},
	} {
		m.configure(c.more)
		f := newFlags(m.env(nil, nil), verb{})
		_, err := f.parse([]string{"--config", m.path("cairn.toml"), "--dir", "/elsewhere"}, 0, 0)
		must(t, err)
		s, err := f.settings()
		must(t, err)
		got := map[string]string{"identity": s.Identity, "socket": s.Admin.Socket, "cache": s.Cache.Dir}
		if fmt.Sprint(got) != fmt.Sprint(c.want) || s.Dir != "/elsewhere" {
			t.Errorf("with %q: %v, want %v", c.more, got, c.want)
		}
	}
}

func TestFlagsStandAnywhere(t *testing.T) {
	for _, c := range []struct {
		args []string
		rest string
		site string
	}{
		{[]string{"a", "--site", "x", "b"}, "a b", "x"},
		{[]string{"--site=x", "a", "b"}, "a b", "x"},
		{[]string{"a", "--", "--site", "x"}, "a --site x", ""},
		{[]string{"--", "-a"}, "-a", ""},
		{nil, "", ""},
	} {
		f := newFlags(&env{}, verb{})
		site := f.String("site", "", "")
		rest, err := f.parse(c.args, 0, 3)
		must(t, err)
		if strings.Join(rest, " ") != c.rest || *site != c.site {
			t.Errorf("%q: %q, site %q", c.args, rest, *site)
		}
	}
}

func TestNodesGetANameFromTheirAddress(t *testing.T) {
	for _, c := range []struct{ remote, operator, want string }{
		{"local:/srv/disk", "", "disk"},
		{"local:/srv/My Disk/", "", "my-disk"},
		{"sftp://u4281-sub3@u4281.your-storagebox.de:23/cairn", "", "u4281-your-storagebox-de"},
		{"sftp://u4281-sub3@u4281.your-storagebox.de:23/cairn", "Carol", "carol"},
	} {
		if got := nameFrom(c.remote, c.operator); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.remote, c.operator, got, c.want)
		}
	}
}

func TestSecretsComeByFileOrInput(t *testing.T) {
	m := newMachine(t, "")
	file := m.write("p", 0o600) // hunter2
	for _, c := range []struct {
		key, password, input string
		want                 engine.Login
		class                error
	}{
		{"", "", "", engine.Login{}, nil},
		{"", file, "", engine.Login{Password: "hunter2"}, nil},
		{file, "", "", engine.Login{Key: "hunter2\n"}, nil},
		{"", "-", "typed\n", engine.Login{Password: "typed"}, nil},
		{"-", "", "typed\n", engine.Login{Key: "typed\n"}, nil},
		{"-", file, "typed\n", engine.Login{Key: "typed\n", Password: "hunter2"}, nil},
		{"-", "-", "typed\n", engine.Login{}, cairn.ErrInvalid},
		{"", "-", "\n", engine.Login{}, cairn.ErrInvalid},
		{"", m.path("none"), "", engine.Login{}, cairn.ErrNotExist},
		{"", m.write("open", 0o644), "", engine.Login{}, cairn.ErrDenied},
	} {
		e := m.env(nil, nil)
		e.in = strings.NewReader(c.input)
		got, err := readLogin(e, c.key, c.password)
		if !errors.Is(err, c.class) || err == nil && got != c.want {
			t.Errorf("%q %q %q: %v, class %v", c.key, c.password, c.input, got, err)
		}
	}
}

// A person is asked about a host key; only yes is yes.
func TestHostKeyIsShownToAPerson(t *testing.T) {
	m := newStore(t, "")
	for _, c := range []struct {
		answer string
		says   string
	}{
		{"\n", "is not trusted; nothing was done"},
		{"", "is not trusted; nothing was done"},
		{"maybe\n", "is not trusted; nothing was done"},
		{"y\n", "put this line into authorized_keys"}, // trusted, and then not let in
	} {
		address, key := stranger(t)
		var out, errs bytes.Buffer
		e := m.env(&out, &errs)
		e.person, e.in = true, strings.NewReader(c.answer)
		status := run(t.Context(), e, []string{"node", "add", "sftp://u@" + address + "/", "--name", "s", "--config", m.path("cairn.toml")})
		if status != 8 || !strings.Contains(errs.String(), "host key   "+key+" is new.") || !strings.Contains(errs.String(), c.says) {
			t.Errorf("answer %q: status %d\n%s", c.answer, status, errs.String())
		}
	}
}

func TestStatusTextTellsWhatToDo(t *testing.T) {
	s := engine.Status{AsOf: time.Now(), StoreID: "4f1c-9a20", State: engine.AtRisk, Summary: "every object is readable and writes go on; no node may fail (1 when whole)", Wrong: []string{"bob: down: does not answer for 55m"},
		Do: []engine.Todo{{Command: "cairn flush", Text: "sends them"}, {Text: "bring back bob"}}, Wait: []string{"repair runs by itself", "the kit is old"},
		Status:   store.Status{Objects: 4722118, Bytes: 118 << 30, Packs: 7561, StagedBytes: 43 << 20, StageLimit: 20 << 30, OldestHere: 75, Writes: 2000},
		HereOnly: 41 << 20, Fsyncs: 310, CacheHits: 0.91, FullIn: 210, Care: &scrub.Health{Packs: 1, Nines: 5.13, Oldest: 12 * 86400, Coverage: make([]scrub.Coverage, 2)}, Uptime: 7260,
		Nodes: []engine.NodeState{{Name: "alice", Kind: "sftp", Operator: "mia", State: "ok", Since: 9, Used: 39 << 30, Free: 500 << 30, Total: 900 << 30, Known: true, P95: 23.4, Good: 1, Looks: 500, Traffic: 41 << 30, TrafficLimit: 300 << 30, WipeProof: "snapshots"},
			{Name: "bob", Kind: "local", Operator: "bob", State: "down", Why: "does not answer", Since: 3300, Wrong: 3, Good: 0.974, Looks: 40, Quota: 1 << 40}},
		Fleet: engine.FleetReport{Nodes: 2, Operators: 2, Coding: "1+1", Usable: 430 << 30, Fatal: []string{"mia"}},
		Recoverable: engine.Recoverable{Root: 8829, RootAge: 75, RootOn: 1, RootOf: 2, Checkpoint: true, CheckpointAge: 2280, Kit: engine.KitState{At: time.Now().Add(-11 * 24 * time.Hour), Stale: true},
			Rehearsed: &engine.Rehearsal{At: time.Now().Add(-12 * 24 * time.Hour), Took: 192}, Kept: []keep.State{{Name: "attic", Age: 420, Bytes: 9}, {Name: "none"}}}}
	const want = `AT RISK    every object is readable and writes go on; no node may fail (1 when whole)
  bob: down: does not answer for 55m
  41.0 MiB not on the nodes yet, the oldest for 1m
DO NOW     1. cairn flush             sends them
           2. bring back bob
CAN WAIT   repair runs by itself
           the kit is old
NODE   KIND   OPERATOR  STATE  WHY                  USED/QUOTA          READ P95  GOOD READS        TRAFFIC/MONTH       WIPE-PROOF
alice  sftp   mia       ok                          39.0 GiB/539.0 GiB  23 ms     100 %             41.0 GiB/300.0 GiB  snapshots
bob    local  bob       down   does not answer 55m  0 B/1.0 TiB         -         97.4 % (3 wrong)  0 B/-               -
4,722,118 objects · 118.0 GiB in 7,561 packs, new ones 1+1 · usable 430.0 GiB, full in about 210 days · 5.1 nines a year · every byte proven in the last 12 d · only here 41.0 MiB
stage 43.0 MiB of 20.0 GiB · 310 fsyncs for 2,000 writes · cache hits 91 % · up 2h1m · store 4f1c-9a20
recovery: root 8829 on 1 of 2 nodes, 1m ago · checkpoint 38m ago · kit 11 d old, out of date · rehearsed 12 d ago in 3m · kept: attic of 7m ago
`
	if got := statusText(s, true); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := statusText(s, false); !strings.Contains(got, "no gateway runs") {
		t.Errorf("without a gateway:\n%s", got)
	}
}

func TestAccessKeyComesReadyToPaste(t *testing.T) {
	m := newStore(t, "s3.public_url = \"https://cache.example.org\"\ns3.region = \"eu-1\"")
	m.ok("bucket", "create", "cache")
	text := m.ok("access", "create", "--write", "cache", "--read", "*", "--name", "attic")
	for _, want := range []string{"[storage]\ntype = \"s3\"\nregion = \"eu-1\"\nbucket = \"", "endpoint = \"https://cache.example.org\"\n[storage.credentials]\naccess_key_id = \"",
		"export AWS_ENDPOINT_URL=https://cache.example.org AWS_REGION=eu-1 AWS_ACCESS_KEY_ID=", "cache:write"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	l := jsonOf[[]access](m, "access", "list")
	if len(l) != 1 || l[0].Secret != "" || l[0].Name != "attic" || len(l[0].Grants) != 2 {
		t.Errorf("access list: %+v", l)
	}
}

// TestProgressDoesNotFloodALog: a verb that is over within a minute prints
// nothing but its result; a person sees one line that changes, and it is wiped.
func TestProgressDoesNotFloodALog(t *testing.T) {
	var errs bytes.Buffer
	e := &env{err: &errs}
	for range 100 {
		e.progress("40 MiB left")
	}
	if e.endProgress(); errs.Len() > 0 {
		t.Errorf("a log got %q", errs.String())
	}
	e = &env{err: &errs, person: true}
	e.progress("40 MiB left")
	e.progress("8 MiB left")
	e.endProgress()
	if got := errs.String(); got != "\r40 MiB left\r8 MiB left \r"+strings.Repeat(" ", 11)+"\r" {
		t.Errorf("a person got %q", got)
	}
}

// A gateway behind a proxy listens on a socket of its user and group.
func TestServeOnASocket(t *testing.T) {
	m := newMachine(t, "")
	must(t, os.WriteFile(m.path("cairn.toml"), fmt.Appendf(nil, "dir = %q\n[s3]\nlisten = \"unix:%s\"\n[admin]\nlisten = \"\"\n", m.path("state"), m.path("s3.sock")), 0o600))
	m.ok("init")
	s := m.serve()
	if s.Endpoint != "unix:"+m.path("s3.sock") || s.Admin != "" {
		t.Errorf("%+v", s)
	}
	info, err := os.Stat(m.path("s3.sock"))
	must(t, err)
	if info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v", info.Mode().Perm())
	}
	info, err = os.Stat(filepath.Join(m.path("state"), "admin.sock"))
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the admin socket %v", info.Mode().Perm())
	}
	http.DefaultClient.CloseIdleConnections()
}
