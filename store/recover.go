package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store/stage"
)

// Recover makes index and life file of a directory that has no stage from what
// stands on the nodes; Open then goes on from there. What it made of the index
// before is given up first, and a directory in which it did not come to its end
// is refused by Open, so that it can be tried as often as it takes.
//
// ErrPrecondition where the directory has stages: Open replays them.
// ErrUnavailable where nodes do not answer or log packs are missing and
// Base.AcceptLoss does not say to go on without: what was found so far is
// returned beside it. Nothing on a node is changed.
func Recover(ctx context.Context, c Config, b Base) (out Recovered, err error) {
	if err := c.defaults(); err != nil {
		return out, err
	}
	if err := c.FS.MkdirAll(c.stageDir()); err != nil {
		return out, fmt.Errorf("store: recover: %w", err)
	}
	lock, err := c.FS.Lock(filepath.Join(c.Dir, "lock"))
	if err != nil {
		return out, fmt.Errorf("store: %s is in use by another cairn: %w", c.Dir, err)
	}
	defer func() {
		if cerr := lock.Close(); err == nil {
			err = cerr
		}
	}()
	r := &recovering{c: &c, base: b, rep: &out}
	if err := r.prepare(); err != nil {
		return out, fmt.Errorf("store: recover: %w", err)
	}
	err = r.all(ctx)
	if r.idx != nil {
		if cerr := r.idx.Close(); err == nil {
			err = cerr
		}
	}
	if err == nil {
		err = r.finish()
	}
	if err != nil {
		return out, fmt.Errorf("store: recover: %w", err)
	}
	return out, nil
}

// recovering is the index being made from what stands on the nodes: by Recover,
// or by rebuild beside a stage.
type recovering struct {
	c    *Config
	base Base
	idx  *index.Index
	rep  *Recovered
	here map[cairn.PackID]bool // staged on this disk; replay takes them

	found map[cairn.PackID][]cairn.Location
	// stagedAt is where shards of packs that are staged here are listed.
	stagedAt map[cairn.PackID][]cairn.Location
	silent   map[cairn.NodeID]bool
	why      error // of the silent nodes

	logs     []logPack // that count or may, above the cut-off
	staged   map[uint64]bool
	journals []journalPack
	kept     int64 // bytes of contents in memory
	seq      uint64
	pinned   map[cairn.PackID]bool // older versions kept lie in them
	later    []index.Change        // to be applied after all others, see doubtful
	applied  map[cairn.Stamp]bool  // records above the cut-off; only where there are journals
	step     RecoverStep
	began    time.Time

	mu  sync.Mutex
	may map[cairn.PackID]bool // that packs may stand; guarded by mu
}

// recoverName marks a directory in which a recovery has not come to its end.
func (c *Config) recoverName() string { return filepath.Join(c.Dir, "recovering") }

// unfinished refuses a directory in which a recovery has not come to its end.
func (c *Config) unfinished() error {
	_, err := c.FS.Size(c.recoverName())
	switch {
	case err == nil:
		return fmt.Errorf("store: the recovery of %s did not come to its end; run it again: %w", c.Dir, cairn.ErrUnavailable)
	case errors.Is(err, cairn.ErrNotExist):
		return nil
	}
	return fmt.Errorf("store: %w", err)
}

// prepare makes an empty index. The mark is durable before anything of the
// directory is given up.
func (r *recovering) prepare() error {
	marked := r.c.unfinished() != nil
	ids, err := stage.List(r.c.FS, r.c.stageDir())
	if err != nil {
		return err
	}
	if len(ids) > 0 && !marked {
		return fmt.Errorf("%s has %d stages, whose records are on no node perhaps; start the gateway there, or move them away: %w", r.c.stageDir(), len(ids), cairn.ErrPrecondition)
	}
	if err := durable.WriteFile(r.c.FS, r.c.recoverName(), []byte("a recovery is under way\n")); err != nil {
		return err
	}
	for _, id := range ids { // made of journals by a try before this one
		if err := r.c.FS.Remove(stage.Name(r.c.stageDir(), id)); err != nil {
			return err
		}
	}
	if err := index.Destroy(r.c.FS, r.c.indexDir()); err != nil {
		return err
	}
	r.idx, err = index.Open(r.c.indexConfig())
	return err
}

// all fills the index.
func (r *recovering) all(ctx context.Context) error {
	if err := r.survey(ctx); err != nil {
		return err
	}
	if err := r.load(ctx); err != nil {
		return err
	}
	if err := r.look(ctx); err != nil {
		return err
	}
	if err := r.chain(); err != nil {
		return err
	}
	if err := r.log(ctx); err != nil {
		return err
	}
	r.begin("index", 0)
	if err := r.missing(); err != nil {
		return err
	}
	if err := r.account(); err != nil {
		return err
	}
	if err := r.idx.Flush(); err != nil {
		return err
	}
	r.end()
	return nil
}

// account fills in the totals of the report.
func (r *recovering) account() error {
	t := r.idx.Totals()
	r.rep.Objects, r.rep.Bytes = t.Objects, t.Bytes
	r.saw(r.idx.Applied())
	r.rep.Reached = r.base.CutOff
	if n := len(r.logs); n > 0 {
		l := r.logs[n-1].row
		r.rep.Reached = pack.CutOff{Number: l.Number, Last: maxStamp(r.base.CutOff.Last, l.Last), Seal: l.SealHash}
	}
	for _, n := range r.base.Nodes {
		_, err := r.idx.Node(n.ID)
		if errors.Is(err, cairn.ErrNotExist) {
			r.rep.Unrecorded = append(r.rep.Unrecorded, n)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// recoverGap is left between the LSNs seen and those of the next life: no machine
// can have written more records than that which nobody has seen.
const recoverGap = 1 << 32

// finish makes the directory one that Open takes. The index is durable; the
// next life is above every life and every LSN seen, also of what did not count;
// the mark goes last.
func (r *recovering) finish() error {
	if err := writeNodes(r.c.FS, r.c.Dir, r.c.Store, r.base.Nodes); err != nil {
		return err
	}
	was, lsn, err := readLife(r.c.FS, r.c.stageDir(), r.c.Store)
	if err != nil && !errors.Is(err, cairn.ErrCorrupt) { // one that rotted is made anew
		return err
	}
	life := lifeState{number: max(was, r.base.Life, r.rep.Last.Life), next: max(lsn, r.rep.Last.LSN) + recoverGap}
	if err := life.write(r.c.FS, r.c.stageDir(), r.c.Store); err != nil {
		return err
	}
	if err := r.c.writeUnseen(r.rep); err != nil {
		return err
	}
	if err := removeFile(r.c.FS, r.c.graceName()); err != nil { // every grace begins anew
		return err
	}
	if err := r.c.FS.Remove(r.c.recoverName()); err != nil {
		return err
	}
	return r.c.FS.SyncDir(r.c.Dir)
}

// saw notes a stamp of a record that exists somewhere. Life and LSN are taken
// apart: both are never issued again.
func (r *recovering) saw(s cairn.Stamp) {
	r.rep.Last = cairn.Stamp{Life: max(r.rep.Last.Life, s.Life), LSN: max(r.rep.Last.LSN, s.LSN)}
}

func (r *recovering) begin(name string, of int) {
	r.step, r.began = RecoverStep{Name: name, Of: uint64(of)}, time.Now()
	r.tell()
}

func (r *recovering) end() {
	r.step.Done = true
	r.tell()
	r.rep.Steps = append(r.rep.Steps, r.step)
}

func (r *recovering) tell() {
	r.step.Took = time.Since(r.began)
	if r.base.Progress != nil {
		r.base.Progress(r.step)
	}
}

// goOn is nil where loss is accepted, or says what is missing and what to do.
func (r *recovering) goOn(what string) error {
	if r.base.AcceptLoss {
		r.c.Log.Warn("recovery goes on without what is missing", "what", what)
		return nil
	}
	err := fmt.Errorf("%s; try again when more nodes answer, or accept the loss of what only they have: %w", what, cairn.ErrUnavailable)
	return errors.Join(err, r.why)
}

// silentNames are the names of nodes that did not answer.
func (r *recovering) silentText() string {
	names := slices.Clone(r.rep.Silent)
	slices.Sort(names)
	return strings.Join(names, ", ")
}
