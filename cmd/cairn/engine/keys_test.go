package engine

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/secretfile"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// newKeyed is an open store on three nodes.
func newKeyed(t *testing.T) (*home, *Engine) {
	t.Helper()
	h := newHome(t)
	e := h.open()
	for _, name := range []string{"alice", "bob", "carol"} {
		_, err := h.add(e, name)
		must(t, err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 500 { // until nothing is on its way to a node, which the test may take away
		if s, err := e.Status(t.Context()); err == nil && s.Recoverable.Root > 0 && s.Recoverable.RootOn == 3 {
			break
		}
		<-tick.C
	}
	return h, e
}

// A change of owners that too few nodes took is not in use, survives a restart,
// and goes on when it is asked for again.
func TestOwnerIsAddedWhenTheNodesHaveTheKeys(t *testing.T) {
	h, e := newKeyed(t)
	tom, err := age.GenerateX25519Identity()
	must(t, err)
	must(t, e.Store.Flush(t.Context())) // else a put under way makes their folders again
	for _, name := range []string{"bob", "carol"} {
		must(t, os.Rename(h.dir(name), h.dir(name+"-away")))
	}
	err = e.AddOwner(t.Context(), tom.Recipient().String())
	wantErr(t, err, cairn.ErrUnavailable, "not on enough nodes", "goes on")
	if !e.KeysPending() || len(e.Owners()) != 1 {
		t.Fatalf("pending %v, owners %q", e.KeysPending(), e.Owners())
	}
	shut(t, e)
	e = h.open()
	if len(e.Owners()) != 1 || !e.KeysPending() {
		t.Fatalf("after a restart: pending %v, owners %q", e.KeysPending(), e.Owners())
	}
	st, err := e.Status(t.Context())
	must(t, err)
	if !slices.ContainsFunc(st.Recoverable.Advice, func(s string) bool { return strings.Contains(s, "cut off") }) {
		t.Errorf("status does not tell: %q", st.Recoverable.Advice)
	}
	for _, name := range []string{"bob", "carol"} {
		must(t, os.Rename(h.dir(name+"-away"), h.dir(name)))
	}
	shut(t, e)
	e = h.open()
	defer shut(t, e)
	must(t, e.AddOwner(t.Context(), tom.Recipient().String()))
	if e.KeysPending() || len(e.Owners()) != 2 {
		t.Fatalf("pending %v, owners %q", e.KeysPending(), e.Owners())
	}
	opens := 0
	for _, name := range []string{"alice", "bob", "carol"} {
		for _, k := range e.secretsNow().keys {
			b, err := os.ReadFile(filepath.Join(h.dir(name), k.path))
			if err != nil {
				continue
			}
			file, err := crypt.ParseKeys(b, crypt.TrustKeys(e.ID, e.c.Identity.Sign().Public()))
			must(t, err)
			if key, err := file.OpenAge(tom); err == nil && key == e.secretsNow().epochs[1] {
				opens++
			}
		}
	}
	if opens < 2 {
		t.Errorf("the new owner opens the store from %d nodes", opens)
	}
	// And the other way round: the last one stays.
	must(t, e.RemoveOwner(t.Context(), e.Owners()[0]))
	wantErr(t, e.RemoveOwner(t.Context(), tom.Recipient().String()), cairn.ErrPrecondition, "the only owner")
	wantErr(t, e.RemoveOwner(t.Context(), someone), cairn.ErrNotExist, "no owner")
	if keys := e.AuthorizedKeys(); len(keys) != 1 {
		t.Errorf("the key of an owner who is none any more is still admitted: %q", keys)
	}
	names, err := os.ReadDir(e.at(layout.KeysDir))
	must(t, err)
	if len(names) != 1 {
		t.Errorf("%d files of keys here, want the newest alone", len(names))
	}
}

func TestRotationSealsAnewAndClosesTheOld(t *testing.T) {
	h, e := newKeyed(t)
	a := &ashes{t: t, home: h, objects: make(map[cairn.Key][]byte)}
	must(t, e.Store.CreateBucket(t.Context(), "box"))
	a.put(e, "one", 3)
	var said []string
	out, err := e.RotateKeys(t.Context(), false, func(p Progress) { said = append(said, p.Text) })
	must(t, err)
	if out.Epoch != 2 || !out.Begun || !slices.Equal(out.Closed, []uint32{1}) || len(said) < 3 {
		t.Errorf("rotated: %+v, said %q", out, said)
	}
	a.put(e, "two", 3)
	must(t, e.Store.Flush(t.Context()))
	body, ok := e.keeper.Body()
	if !ok || len(body.Epochs) != 2 || !body.Epochs[0].Closed || body.Epochs[1].Closed || len(body.Epochs[1].Keys) != 1 {
		t.Errorf("root: %+v", body.Epochs)
	}
	shut(t, e)
	e = h.open()
	defer shut(t, e)
	a.exact(e)
	if s := e.secretsNow(); s.epoch != 2 || !slices.Equal(s.closed, []uint32{1}) {
		t.Errorf("after a restart: epoch %d, closed %v", s.epoch, s.closed)
	}
	if out, err = e.RotateKeys(t.Context(), false, nil); err != nil || out.Epoch != 3 || !slices.Equal(out.Closed, []uint32{1, 2}) {
		t.Errorf("once more: %+v, %v", out, err)
	}
	a.exact(e)
}

// With now nothing live is left under the old key, and it all reads.
func TestHazardB19RotationNowSealsEverythingAnew(t *testing.T) {
	h, e := newKeyed(t)
	a := &ashes{t: t, home: h, objects: make(map[cairn.Key][]byte)}
	must(t, e.Store.CreateBucket(t.Context(), "box"))
	a.put(e, "one", 5)
	out, err := e.RotateKeys(t.Context(), true, nil)
	must(t, err)
	if out.Epoch != 2 || out.Left != 0 || out.Sealed == nil || out.Sealed.Packs == 0 {
		t.Errorf("rotated: %+v, sealed %+v", out, out.Sealed)
	}
	a.exact(e)
	for k := range a.objects {
		_, places, err := e.Store.Locate(t.Context(), k)
		must(t, err)
		for _, p := range places {
			row, err := e.Store.Pack(p.Pack)
			if err != nil || row.Params.Epoch != 2 {
				t.Errorf("%v lies in pack %v of epoch %d, %v", k, p.Pack, row.Params.Epoch, err)
			}
		}
	}
	shut(t, e)
	e = h.open()
	defer shut(t, e)
	a.exact(e)
}

// A rotation that could not spread what the old key sealed is finished later,
// and no other begun in its place.
func TestRotationGoesOn(t *testing.T) {
	h, e := newKeyed(t)
	defer func() { shut(t, e) }()
	must(t, e.Store.CreateBucket(t.Context(), "box"))
	must(t, e.changeKeys(t.Context(), e.Owners(), true)) // as if cut off behind it
	shut(t, e)
	e = h.open()
	out, err := e.RotateKeys(t.Context(), false, nil)
	must(t, err)
	if out.Begun || out.Epoch != 2 || !slices.Equal(out.Closed, []uint32{1}) {
		t.Errorf("finished: %+v", out)
	}
}

func TestGatewaysFile(t *testing.T) {
	all := []pack.RootGateway{
		{Key: crypt.PublicKey{1, 2}, Number: 0, Recipient: someone, Until: pack.CutOff{Number: 7, Last: cairn.Stamp{Life: 3, LSN: 99}, Seal: crypt.Hash{5}}},
		{Key: crypt.PublicKey{3}, Number: 2, Recipient: someone},
	}
	text := secretfile.GatewaysText(all)
	got, err := secretfile.ParseGateways(text)
	if err != nil || !reflect.DeepEqual(got, all) {
		t.Errorf("reads back as %+v, %v", got, err)
	}
	for _, bad := range []string{"", "#\n", "00 1 " + someone, strings.Replace(string(text), " until 7 ", " until x ", 1), strings.Replace(string(text), " 3.99 ", " 399 ", 1),
		strings.ToUpper(string(text)), string(text) + "\n"} {
		if _, err := secretfile.ParseGateways([]byte(bad)); err == nil {
			t.Errorf("taken: %q", bad)
		}
	}
}

// What is damaged in secrets/ is named at the start, with what to do.
func TestDamagedSecretsAreNamed(t *testing.T) {
	for _, c := range []struct {
		file, text string
		class      error
		says       []string
	}{
		{ownersFile, "", cairn.ErrInvalid, []string{"secrets/owners", "line 1", "one recipient a line"}},
		{ownersFile, someone + "\nmia\n", cairn.ErrInvalid, []string{"secrets/owners", "line 2"}},
		{delegationFile, "cairndlg", cairn.ErrCorrupt, []string{"secrets/delegation", "cairn recover"}},
		{gatewaysFile, "x\n", cairn.ErrCorrupt, []string{"secrets/gateways", "line 1", "cairn recover"}},
		{gatewaysFile, strings.Repeat("0", 64) + " 1 " + someone + "\n", cairn.ErrDenied, []string{"secrets/gateways", "before a takeover"}},
		{recoveryFile, "ssh-ed25519 x\n", cairn.ErrCorrupt, []string{"secrets/recovery", "line 1"}},
	} {
		h := newHome(t)
		must(t, os.WriteFile(filepath.Join(h.file.Dir, secretsDir, c.file), []byte(c.text), 0o600))
		_, err := h.tryOpen()
		wantErr(t, err, c.class, c.says...)
	}
}
