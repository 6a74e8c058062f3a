package sftp_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/backendtest"
	"github.com/cairn-storage/cairn/backends/sftp"
	"github.com/cairn-storage/cairn/contribute"
)

func TestKeepsTheContract(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, n *node) {
		backendtest.Run(t, func(t *testing.T) backends.Remote { return open(t, n.config()) })
	})
}

// TestKeepsTheContractWithATrash: a node that keeps what is removed takes nothing
// from the gateway.
func TestKeepsTheContractWithATrash(t *testing.T) {
	n := contributed(t, contribute.Config{Trash: 24 * time.Hour})
	backendtest.Run(t, func(t *testing.T) backends.Remote { return open(t, n.config()) })
}

func TestTurnsAndBytes(t *testing.T) {
	onEach(t, func(t *testing.T, n *node) {
		r, p := proxied(t, n)
		ctx := t.Context()
		put := func(name string, size int) {
			t.Helper()
			if err := r.Put(ctx, name, content(size, 1)); err != nil {
				t.Fatal(err)
			}
		}
		put("packs/0/warm", 10)
		put("packs/0/large", 4<<20)
		p.SetDelay(10 * time.Millisecond)
		if _, err := r.Stat(ctx, "packs/0/warm"); err != nil {
			t.Fatal(err)
		}
		// Not more than a packet: a window update that follows bulk data would
		// count as a turn, though nobody waits for it.
		buf := make([]byte, 16<<10)
		for _, m := range []struct {
			what  string
			turns int64
			bytes int64 // received at most; 0 does not matter
			do    func() error
		}{
			{"put 16 KiB into a directory that exists", 5, 0, func() error { return r.Put(ctx, "packs/0/small", content(16<<10, 2)) }},
			{"read 16 KiB of 4 MiB", 3, 32 << 10, func() error { return r.ReadAt(ctx, "packs/0/large", buf, 1<<20) }},
			{"read 16 KiB of a held file", 1, 32 << 10, func() error { return r.ReadAt(ctx, "packs/0/large", buf, 2<<20+7) }},
			{"stat", 1, 0, func() error { _, err := r.Stat(ctx, "packs/0/small"); return err }},
			{"free space", 1, 0, func() error { _, _, err := r.Free(ctx); return err }},
			{"delete", 1, 0, func() error { return r.Delete(ctx, "packs/0/small") }},
		} {
			before := p.Counts()
			if err := m.do(); err != nil {
				t.Fatalf("%s: %v", m.what, err)
			}
			took := p.Counts().Sub(before)
			t.Logf("%s: %d turns, %d bytes received", m.what, took.Turns, took.Received)
			if took.Turns > m.turns {
				t.Errorf("%s: %d turns, want at most %d", m.what, took.Turns, m.turns)
			}
			if m.bytes > 0 && took.Received >= m.bytes {
				t.Errorf("%s: received %d bytes, want fewer than %d", m.what, took.Received, m.bytes)
			}
		}
		if got := p.Counts().Connections; got != 1 {
			t.Errorf("%d connections were made, want 1", got)
		}
	})
}

func TestManySmallPutsShareOneConnection(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, n *node) {
		r, p := proxied(t, n)
		var wg sync.WaitGroup
		want := make(map[string]int64)
		for i := range 64 {
			name := fmt.Sprintf("packs/%d/%d", i%4, i)
			want[name] = int64(16<<10 + i)
			wg.Go(func() {
				if err := r.Put(t.Context(), name, content(16<<10+i, byte(i))); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := list(t, r, ""); !mapsEqual(got, want) {
			t.Errorf("listed %d files, want 64: %v", len(got), got)
		}
		for i := range 64 {
			got, want := make([]byte, 16<<10+i), content(16<<10+i, byte(i))
			wg.Go(func() {
				err := r.ReadAt(t.Context(), fmt.Sprintf("packs/%d/%d", i%4, i), got, 0)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("read %d: %v, equal %v", i, err, bytes.Equal(got, want))
				}
			})
		}
		wg.Wait()
		if got := p.Counts().Connections; got != 1 {
			t.Errorf("%d connections, want 1", got)
		}
	})
}

func mapsEqual(a, b map[string]int64) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || v != w {
			return false
		}
	}
	return true
}

func TestFewerChannelsWhereMoreAreRefused(t *testing.T) {
	t.Parallel()
	n := openssh(t, "MaxSessions 1")
	r := open(t, n.config())
	if err := r.Put(t.Context(), "packs/a", content(1<<20, 1)); err != nil {
		t.Fatal(err)
	}
	if err := r.ReadAt(t.Context(), "packs/a", make([]byte, 1<<20), 0); err != nil {
		t.Error(err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	good := sftp.Config{Address: "host", User: "u", Password: "p", HostKey: newKey(t).Fingerprint()}
	if _, err := sftp.Open(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(c *sftp.Config){
		"no address":     func(c *sftp.Config) { c.Address = "" },
		"no user":        func(c *sftp.Config) { c.User = "" },
		"no credential":  func(c *sftp.Config) { c.Password = "" },
		"no host key":    func(c *sftp.Config) { c.HostKey = "" },
		"an MD5 of one":  func(c *sftp.Config) { c.HostKey = "MD5:00:11" },
		"half a hash":    func(c *sftp.Config) { c.HostKey = c.HostKey[:20] },
		"negative width": func(c *sftp.Config) { c.Channels = -1 },
	} {
		c := good
		change(&c)
		if _, err := sftp.Open(t.Context(), c); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, n *node) {
		traits, err := open(t, n.config()).Describe(t.Context())
		if err != nil || traits.RTT <= 0 {
			t.Fatalf("%+v, %v", traits, err)
		}
		traits.RTT = 0
		want := backends.Traits{Kind: "sftp", AtomicRename: true, Fsync: n.kind == "openssh", HostKey: n.host.Fingerprint(), Connections: 1}
		if traits != want {
			t.Errorf("got %+v, want %+v", traits, want)
		}
	})
}
