package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/keep"
	"github.com/cairn-storage/cairn/cmd/cairn/secretfile"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/recovery"
	"github.com/cairn-storage/cairn/store"
	"golang.org/x/crypto/ssh"
)

// RecoverConfig says what a burnt gateway is brought back from, and to where.
type RecoverConfig struct {
	// Config is that of the gateway to be; its Identity is made here and
	// written to File.Identity, the rest below File.Dir.
	Config
	Owner    recovery.Owner // who recovers
	OwnerSSH ssh.Signer     // logs in to nodes beside the gateway's key; nil for that of the owner's identity
	Kit      *recovery.Kit  // nil without one
	From     []From         // nodes to begin with; needed without a kit
	Store    cairn.StoreID  // needed where neither owner nor kit tells it
	Trust    []crypt.PublicKey

	Takeover   bool // also where the old gateway may still be at work
	AcceptLoss bool // go on without what cannot be read
	// Rehearse does it all in File.Dir, an empty directory, and writes nothing
	// to any node. Sample objects are then read, as many as that.
	Rehearse bool
	Sample   int

	// What is told as it is known; any may be nil.
	Found func(RecoverFound)
	Step  func(store.RecoverStep)

	pause time.Duration // between two looks at the roots; 0 for lookAgain
}

// How it is told whether the old gateway is alive. It writes a root at every
// checkpoint and every change of nodes, and none in between: silence proves
// nothing, and a person has the last word.
const (
	liveFor   = 5 * time.Minute // a root that is younger may be a living gateway's
	lookAgain = 2 * time.Second
)

// Recover brings a store back from what stands on its nodes: afterwards File.Dir
// is as after Init, with everything that was spread in it, and File.Identity the
// new gateway's. What was found is returned beside an error, too.
//
// Order: nothing is written before the nodes told enough. Then secrets under
// another name and the identity; the takeover root, here and on the nodes, so
// that an old gateway that lives stops; the index; and the rename that makes it
// a store last. Cut off anywhere it is no store, and Recover run again begins
// anew.
//
// ErrPrecondition where a store or its remains are in the way, or the old
// gateway may be alive and Takeover is not set.
func Recover(ctx context.Context, c RecoverConfig) (out RecoverReport, err error) {
	start := time.Now()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.IndexCache == 0 {
		c.IndexCache = indexCache
	}
	if c.pause == 0 {
		c.pause = lookAgain
	}
	r := &recoverer{RecoverConfig: c, at: filepath.Join(c.File.Dir, secretsDir+".new"), out: &out}
	out.Dir, out.Identity, out.Rehearsed = c.File.Dir, c.File.Identity, c.Rehearse
	defer func() { out.Took = time.Since(start).Seconds() }()
	if err := r.vacant(); err != nil {
		return out, err
	}
	if err := r.find(ctx); err != nil {
		return out, err
	}
	if err := r.alive(ctx); err != nil {
		return out, err
	}
	if err := r.rebuild(ctx); err != nil {
		return out, err
	}
	return out, r.look(ctx)
}

// recoverer is one recovery.
type recoverer struct {
	RecoverConfig
	at    string // secrets.new
	again bool   // a recovery was begun here before
	found recovery.Found
	taken recovery.Taken
	out   *RecoverReport
}

// rebuild makes the directory from r.found.
func (r *recoverer) rebuild(ctx context.Context) (err error) {
	r.taken, err = recovery.MakeTakeover(recovery.TakeoverConfig{Found: r.found, Owner: r.ownIdentity(), Now: uint64(time.Now().UnixMilli()), Random: rand.Reader})
	if err != nil {
		return err
	}
	r.out.Unwrapped = r.taken.Unwrapped
	if err := r.writeSecrets(); err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	e := &Engine{ID: r.found.Store, c: r.Config, turn: make(chan struct{}, 1), started: time.Now()}
	e.c.Identity, e.c.ReadOnly, e.c.Registry = r.taken.Identity, r.Rehearse, nil
	e.secrets = secrets{store: e.ID, owners: r.taken.Owners, epochs: r.taken.Epochs, epoch: r.taken.Epoch, gateways: r.taken.Body.Gateways}
	defer func() { err = errors.Join(err, e.Close(context.WithoutCancel(ctx))) }()
	if err := e.openFleet(ctx, true); err != nil {
		return err
	}
	nodes := r.sealNodes()
	if err := e.Fleet.SetNodes(ctx, nodes); err != nil {
		return err
	}
	if !r.Rehearse {
		if err := r.takeOver(ctx, e); err != nil {
			return err
		}
	}
	body := r.taken.Body
	if !r.found.HasRoot {
		body.CutOff, body.Runs, err = store.FindCheckpoint(ctx, e.storeConfig(nil))
		if err != nil && !errors.Is(err, cairn.ErrNotExist) { // without one it is all log packs
			return err
		}
	}
	closed := make(map[uint32]bool)
	for _, n := range r.taken.Closed {
		closed[n] = true
	}
	r.out.Index, err = store.Recover(ctx, e.storeConfig(nil), store.Base{CutOff: body.CutOff, Runs: body.Runs, Gateways: body.Gateways, Nodes: nodes,
		Life: body.Life, Closed: closed, AcceptLoss: true, Progress: r.Step})
	if err == nil {
		err = r.accept()
	} else if len(r.out.Index.Silent) > 0 && errors.Is(err, cairn.ErrUnavailable) {
		err = fmt.Errorf("%s do not answer: bring some back and try again: %w", strings.Join(r.out.Index.Silent, ", "), err)
	}
	if err != nil {
		return err
	}
	if e.keeper != nil {
		own, reached := r.taken.Identity.Sign().Public(), r.out.Index.Reached
		if err := e.keeper.Root(ctx, func(b *pack.RootBody) {
			b.CutOff, b.Runs = body.CutOff, body.Runs
			recovery.SetUntil(b, own, reached)
		}); err != nil {
			r.out.Waiting = err.Error() // the gateway goes on with it
		}
		recovery.SetUntil(&body, own, reached)
		if err := r.write(gatewaysFile, secretfile.GatewaysText(body.Gateways)); err != nil {
			return fmt.Errorf("recover: %w", err)
		}
	}
	return r.install()
}

// accept refuses a loss that nobody accepted. Nodes that do not answer are none
// while they are no more than every pack can miss: what was spread is seen on
// the others.
func (r *recoverer) accept() error {
	i, miss := r.out.Index, r.mayMiss()
	r.out.Miss = miss
	switch {
	case r.AcceptLoss:
		return nil
	case len(i.Holes) > 0:
		return fmt.Errorf("recover: the log has holes on all nodes that answer, the first is %v; bring more nodes back and try again, or go on without with --accept-loss: %w", i.Holes[0], cairn.ErrUnavailable)
	case i.LostCount > 0 && len(i.Silent) > 0:
		return fmt.Errorf("recover: %d objects cannot be read while %s do not answer; bring them back and try again, or go on without with --accept-loss: %w",
			i.LostCount, strings.Join(i.Silent, ", "), cairn.ErrUnavailable)
	case i.LostCount > 0:
		return fmt.Errorf("recover: %d objects have too few shards on all nodes together; go on without them with --accept-loss: %w", i.LostCount, cairn.ErrLost)
	case len(i.Silent) > miss:
		return fmt.Errorf("recover: %d nodes do not answer (%s), and packs can miss %d: what is only there is not known; bring some back and try again, or go on without with --accept-loss: %w",
			len(i.Silent), strings.Join(i.Silent, ", "), miss, cairn.ErrUnavailable)
	}
	return nil
}

// mayMiss is how many nodes every pack that was spread can miss, by the coding
// of the newest root.
func (r *recoverer) mayMiss() int {
	c, err := cairn.ParseCoding(r.taken.Body.Coding)
	if err != nil { // auto
		var all []layout.Candidate
		for _, n := range r.taken.Body.Nodes {
			all = append(all, layout.Candidate{Node: n.ID, Operator: n.Operator, Weight: 1})
		}
		c = layout.Auto(all)
	}
	return c.M
}

// takeOver writes the takeover root. Where too few nodes answer for it to stand
// the recovery goes on: to read is enough, and nodes take no shards before.
func (r *recoverer) takeOver(ctx context.Context, e *Engine) (err error) {
	e.keeper, err = recovery.Takeover(ctx, recovery.Config{FS: r.FS, Dir: r.File.Dir, Nodes: e.Fleet, Gateways: r.taken.Body.Gateways, Fork: e.forked, Log: r.Log}, r.taken)
	if errors.Is(err, cairn.ErrUnavailable) && e.keeper != nil {
		r.out.Waiting = err.Error()
		return nil
	}
	return err
}

// sealNodes is the nodes with their credentials as records have them.
func (r *recoverer) sealNodes() []pack.Node {
	box := r.taken.Identity.Secrets()
	nodes := make([]pack.Node, len(r.taken.Body.Nodes))
	for i, n := range r.taken.Body.Nodes {
		if len(n.Credential) > 0 {
			n.Credential = box.Seal(rand.Reader, store.CredentialPurpose(n.ID), n.Credential)
		}
		nodes[i] = n
	}
	return nodes
}

// ownIdentity is the owner's, where cairn made it.
func (r *recoverer) ownIdentity() *crypt.Identity { return r.Owner.Identity }

// look opens what was made, as serve will, and finishes it.
func (r *recoverer) look(ctx context.Context) (err error) {
	c := r.Config
	c.Identity, c.ReadOnly, c.Registry = r.taken.Identity, r.Rehearse, nil
	c.File.Keep = nil
	if r.Rehearse {
		c.File.Kit = ""
	}
	e, err := Open(ctx, c)
	if err != nil {
		return fmt.Errorf("recover: the store that was made does not open: %w", err)
	}
	defer func() { err = errors.Join(err, e.Close(context.WithoutCancel(ctx))) }()
	for _, n := range r.out.Index.Unrecorded {
		if err := e.Store.SetNode(ctx, n); err != nil {
			return fmt.Errorf("recover: node %s: %w", n.Name, err)
		}
	}
	if err := r.count(ctx, e); err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	if r.Rehearse {
		return r.sample(ctx, e)
	}
	r.out.Kept, err = keep.LayOut(ctx, e.Store, filepath.Join(r.File.Dir, "kept"))
	return err
}

func (r *recoverer) count(ctx context.Context, e *Engine) error {
	st, err := e.Store.Status(ctx)
	if err != nil {
		return err
	}
	buckets, err := e.Store.Buckets(ctx)
	if err != nil {
		return err
	}
	access, err := e.Store.Accesses(ctx)
	if err != nil {
		return err
	}
	nodes, err := e.Store.Nodes()
	if err != nil {
		return err
	}
	r.out.Objects, r.out.Bytes = st.Objects, st.Bytes
	r.out.Buckets, r.out.Access, r.out.Recorded = len(buckets), len(access), len(nodes)
	return nil
}
