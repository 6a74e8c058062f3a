package corrupt

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"filippo.io/age"
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/fleet"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/recovery"
	"github.com/cairn-storage/cairn/store"
)

// rooted is a store whose gateway is gone: what stands on its nodes, roots and a
// checkpoint with it, what an owner has, and what must come back.
type rooted struct {
	house
	owner crypt.Identity
	kit   []byte
	world *world
	marks map[cairn.PackID]string // kinds of packs, for people
}

// makeRooted makes one: a checkpoint, and a log that goes on after it.
func makeRooted(t *testing.T, h house) *rooted {
	t.Helper()
	r := &rooted{house: h, marks: make(map[cairn.PackID]string)}
	var err error
	r.owner, err = crypt.NewIdentity(crypt.Owner, h.id, rand.NewChaCha8([32]byte{8}))
	must(t, err)
	public := h.gate.Public()
	word, err := crypt.Delegate(r.owner.Sign(), h.id, 1, public.Sign, public.Recipient)
	must(t, err)
	owners := []string{r.owner.Public().Recipient}
	keys, err := crypt.WrapEpoch(h.key, 1, h.id, append(owners, public.Recipient), h.gate.Sign())
	must(t, err)
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		m := newMaker(t, h, 0)
		for _, b := range m.re.boxes {
			b.Drop(h.keysName())
		}
		m.fill()
		must(t, m.gate.Flush(ctx))
		m.close()
		ca, err := cache.New(cache.Config{MemoryBytes: 1 << 20, Store: h.id, MAC: [32]byte{3}})
		must(t, err)
		fl, err := fleet.New(ctx, fleet.Config{Store: h.id, Cache: ca, Trust: pack.Trust(crypt.TrustKeys(h.id, public.Sign)), Open: m.re.open, Hold: true, Watch: time.Hour, Log: logger()})
		must(t, err)
		k, err := recovery.New(ctx, recovery.Config{FS: m.disk, Dir: dir, Store: h.id, Nodes: fl, Sign: h.gate.Sign(), Delegation: word.Encode(), Recipient: public.Recipient,
			Gateways: []pack.RootGateway{{Key: public.Sign, Number: 1, Recipient: public.Recipient}}, Epochs: map[uint32]crypt.EpochKey{1: h.key}, Epoch: 1, Owners: owners,
			Keys: []recovery.KeysFile{{Path: layout.KeyPath(1, crypt.KeysHash(keys)), Data: keys}}, Identity: h.gate.Encode(), Fork: func(err error) { t.Error(err) }, Log: logger()})
		must(t, err)
		c := h.config(m.disk, fl)
		c.Roots = k
		st, err := store.Open(ctx, c)
		must(t, err)
		k.Start()
		m.gate = &gateway{st, fl, ca}
		if done, err := st.Checkpoint(ctx); err != nil || done.Rows == 0 {
			t.Fatalf("checkpoint: %+v, %v", done, err)
		}
		m.put("after", 30_000)
		m.put("over", 15_000)
		m.put("large-after", 280_000)
		must(t, m.gate.Flush(ctx))
		<-time.After(10 * time.Minute)
		synctest.Wait()
		kit, err := k.Kit()
		must(t, err)
		r.kit, err = recovery.SealKit(kit, owners)
		must(t, err)
		body, _ := k.Body()
		for _, run := range body.Runs {
			for _, p := range run.Packs {
				r.marks[p.Params.ID] = "checkpoint"
			}
		}
		must(t, st.Close(ctx))
		must(t, k.Close(ctx))
		must(t, errors.Join(fl.Close(), ca.Close()))
		r.world = m.rest()
	})
	if len(r.marks) == 0 {
		t.Fatal("no pack of a checkpoint")
	}
	return r
}

// recover brings the store back from boxes on an empty disk, as an owner does.
func (r *rooted) recover(ctx context.Context, re *reach, kit *recovery.Kit, first int) (*durable.Mem, store.Recovered, error) {
	box, err := re.open(ctx, node(first))
	if err != nil {
		return nil, store.Recovered{}, err
	}
	found, err := recovery.Find(ctx, recovery.FindConfig{Identity: &r.owner, Kit: kit, From: []recovery.Candidate{{Node: node(first), Remote: box}}, Open: re.open, Log: logger()})
	if err != nil {
		return nil, store.Recovered{}, err
	}
	taken, err := recovery.MakeTakeover(recovery.TakeoverConfig{Found: found, Owner: &r.owner, Now: 1, Random: rand.NewChaCha8([32]byte{9})})
	if err != nil {
		return nil, store.Recovered{}, err
	}
	disk := durable.NewMem()
	if err := taken.Write(disk, dir); err != nil {
		return nil, store.Recovered{}, err
	}
	ca, err := cache.New(cache.Config{MemoryBytes: 1 << 20, Store: r.id, MAC: [32]byte{3}})
	if err != nil {
		return nil, store.Recovered{}, err
	}
	fl, err := r.fleet(ctx, re, ca)
	if err != nil {
		return nil, store.Recovered{}, errors.Join(err, ca.Close())
	}
	ns := found.Nodes
	for i, n := range ns {
		ns[i].Credential = r.gate.Secrets().Seal(rand.NewChaCha8([32]byte{byte(i)}), store.CredentialPurpose(n.ID), n.Credential)
	}
	err = fl.SetNodes(ctx, ns)
	var out store.Recovered
	if err == nil {
		out, err = store.Recover(ctx, r.config(disk, fl), store.Base{CutOff: found.Body.CutOff, Runs: found.Body.Runs, Gateways: found.Gateways, Nodes: ns, Life: found.Body.Life, AcceptLoss: true})
	}
	return disk, out, errors.Join(err, fl.Close(), ca.Close())
}

// kind names what a file on a node is.
func (r *rooted) kind(name string) string {
	switch {
	case strings.HasPrefix(name, layout.RootsDir+"/"):
		return "root"
	case strings.HasPrefix(name, layout.KeysDir+"/0-"):
		return "delegation"
	case strings.HasPrefix(name, layout.KeysDir+"/"):
		return "wrapped keys"
	}
	s, err := layout.ParsePath(name)
	if err != nil {
		return ""
	}
	if kind := r.marks[s.Pack]; kind != "" {
		return kind
	}
	return "other packs"
}

// open reads the kit.
func (r *rooted) openKit(b []byte) (recovery.Kit, error) {
	return recovery.OpenKit(b, []age.Identity{r.owner.Age()}...)
}
