package engine

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
)

const someone = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

func TestInitMakesOwnersWhoCanOpenTheEpoch(t *testing.T) {
	fs := durable.NewMem()
	c := InitConfig{FS: fs, Dir: "/state", Identity: "/secret/identity", OwnerFile: "/owner"}
	out, err := Init(t.Context(), c)
	must(t, err)
	read := func(name string) crypt.Identity {
		b, err := durable.ReadFile(fs, name, 1<<20)
		must(t, err)
		id, err := crypt.ParseIdentity(b)
		must(t, err)
		return id
	}
	gate, owner := read(c.Identity), read(c.OwnerFile)
	s, err := readSecrets(fs, c.Dir, gate)
	must(t, err)
	k, err := crypt.ParseKeys(s.keys[0].data, crypt.TrustKeys(out.Store, gate.Sign().Public()))
	must(t, err)
	theirs, err := k.Open(owner)
	must(t, err)
	if theirs != s.epochs[1] || s.epoch != 1 {
		t.Error("the owner opens another key than the gateway")
	}
	b, err := durable.ReadFile(fs, "/state/secrets/"+delegationFile, 1<<20)
	must(t, err)
	d, err := crypt.ParseDelegation(b)
	must(t, err)
	must(t, d.Verify(owner.Sign().Public(), out.Store))
	if d.Gateway != gate.Sign().Public() {
		t.Error("the delegation is for another gateway")
	}
}

func TestInitWithRecipientsMakesNoOwner(t *testing.T) {
	fs := durable.NewMem()
	out, err := Init(t.Context(), InitConfig{FS: fs, Dir: "/state", Identity: "/state/identity", OwnerFile: "/owner", Recipients: []string{someone}})
	must(t, err)
	if _, err := fs.Size("/owner"); !errors.Is(err, cairn.ErrNotExist) || out.OwnerFile != "" {
		t.Errorf("an owner's identity was made: %v %+v", err, out)
	}
	if _, err := fs.Size("/state/secrets/" + delegationFile); !errors.Is(err, cairn.ErrNotExist) {
		t.Error("a delegation without an owner's key")
	}
}

func TestInitWritesOverNothing(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(durable.FS) error
		init  InitConfig
		class error
		says  string
	}{
		{"a store", func(fs durable.FS) error {
			_, err := Init(t.Context(), InitConfig{FS: fs, Dir: "/state", Identity: "/first", OwnerFile: "/own"})
			return err
		}, InitConfig{}, cairn.ErrPrecondition, "/state holds a store"},
		{"a stage that lost its secrets", func(fs durable.FS) error { return fs.MkdirAll("/state/stage") }, InitConfig{}, cairn.ErrPrecondition, "/state holds a store"},
		{"some file at the identity's place", func(fs durable.FS) error { return durable.WriteFile(fs, "/identity", []byte("x")) }, InitConfig{}, cairn.ErrPrecondition, "no identity"},
		{"another gateway's identity", func(fs durable.FS) error {
			_, err := Init(t.Context(), InitConfig{FS: fs, Dir: "/other", Identity: "/identity", OwnerFile: "/own"})
			return err
		}, InitConfig{}, cairn.ErrPrecondition, "/identity exists already"},
		{"another owner's identity", func(fs durable.FS) error {
			_, err := Init(t.Context(), InitConfig{FS: fs, Dir: "/other", Identity: "/first", OwnerFile: "/owner"})
			return err
		}, InitConfig{}, cairn.ErrPrecondition, "/owner exists already"},
		{"a recipient that is none", nil, InitConfig{Recipients: []string{"mia"}}, cairn.ErrInvalid, "age1"},
		{"a recipient twice", nil, InitConfig{Recipients: []string{someone, someone}}, cairn.ErrInvalid, "twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := durable.NewMem()
			if c.spoil != nil {
				must(t, c.spoil(fs))
			}
			before := tree(t, fs, "/")
			c.init.FS, c.init.Dir, c.init.Identity, c.init.OwnerFile = fs, "/state", "/identity", "/owner"
			_, err := Init(t.Context(), c.init)
			wantErr(t, err, c.class, c.says)
			after := tree(t, fs, "/")
			delete(before, "/state/lock")
			delete(after, "/state/lock")
			for name, data := range after {
				if before[name] != data {
					t.Errorf("left behind or changed: %s", name)
				}
			}
			for name := range before {
				if _, ok := after[name]; !ok {
					t.Errorf("removed: %s", name)
				}
			}
		})
	}
}

// tree is every file below dir with its bytes.
func tree(t *testing.T, fs durable.FS, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	names, err := fs.List(dir)
	must(t, err)
	for _, name := range names {
		full := filepath.Join(dir, name)
		if _, err := fs.List(full); err == nil {
			for k, v := range tree(t, fs, full) {
				out[k] = v
			}
			continue
		}
		b, err := durable.ReadFile(fs, full, 1<<20)
		must(t, err)
		out[full] = string(b)
	}
	return out
}

// TestInitSurvivesPowerLossAtEveryStep: after it, either there is no store and
// init run again makes one, or there is one and it opens.
func TestInitSurvivesPowerLossAtEveryStep(t *testing.T) {
	for kept := 0; kept <= 100; kept += 50 {
		stride := uint64(1)
		if kept > 0 && os.Getenv("CAIRN_LONG") == "" {
			stride = 3
		}
		for step := uint64(1); ; step += stride {
			mem := durable.NewMem()
			var after *durable.Mem
			fs := durable.Watch(mem, durable.Hook{Before: func(s durable.Step) error {
				if s.N < step {
					return nil
				}
				if after == nil {
					after = mem.Crash(kept, step)
				}
				return durable.ErrCrashed
			}})
			c := InitConfig{FS: fs, Dir: "/state", Identity: "/secret/identity", OwnerFile: "/home/owner"}
			must(t, mem.MkdirAll("/home"))
			_, err := Init(t.Context(), c)
			if err == nil && after == nil {
				if step < 10 {
					t.Fatalf("init takes %d steps only: is it watched?", step)
				}
				break
			}
			c.FS = after
			if _, err := after.List("/home"); err != nil {
				must(t, after.MkdirAll("/home"))
			}
			_, err = Init(t.Context(), c)
			if err != nil && !errors.Is(err, cairn.ErrPrecondition) {
				t.Fatalf("step %d, %d %% kept: init again: %v", step, kept, err)
			}
			b, err := durable.ReadFile(after, c.Identity, 1<<20)
			must(t, err)
			id, err := crypt.ParseIdentity(b)
			must(t, err)
			if _, err := readSecrets(after, c.Dir, id); err != nil {
				t.Fatalf("step %d, %d %% kept: %v", step, kept, err)
			}
			b, err = durable.ReadFile(after, c.OwnerFile, 1<<20)
			must(t, err)
			owner, err := crypt.ParseIdentity(b)
			if err != nil || owner.Store() != id.Store() {
				t.Fatalf("step %d, %d %% kept: the owner's identity is not of this store: %v", step, kept, err)
			}
		}
	}
}

func TestInitIsPrivate(t *testing.T) {
	h := newHome(t)
	for name, want := range map[string]os.FileMode{h.file.Dir: 0o700, h.file.Identity: 0o600, h.dir("owner"): 0o600, filepath.Join(h.file.Dir, secretsDir): 0o700} {
		info, err := os.Stat(name)
		must(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode().Perm(), want)
		}
	}
}
