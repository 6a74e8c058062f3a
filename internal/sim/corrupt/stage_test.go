package corrupt

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cache"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store/stage"
)

// headerSize is where the pack begins in a stage file (doc/format.md).
const headerSize = 4096

// stageBench harms one stage file of a gateway that is off, and starts it.
type stageBench struct {
	*worlds
	w     *world
	name  string
	files []stageFile
}

// stageFile is one stage, and what its places mean.
type stageFile struct {
	name   string // base name
	log    bool
	data   []byte
	spans  []span
	groups []span         // of a log stage, in the file
	last   map[string]int // by object key: the group of its last version; setup steps are ""
}

func openStage(name string, of func(*worlds) *world) func(*testing.T, *worlds) bench {
	return func(t *testing.T, w *worlds) bench {
		b := &stageBench{worlds: w, w: of(w), name: name}
		names, err := b.w.disk.List(stageDir())
		must(t, err)
		for _, n := range names {
			if strings.HasSuffix(n, ".stage") {
				b.files = append(b.files, b.look(t, n))
			}
		}
		if !slices.ContainsFunc(b.files, func(f stageFile) bool { return f.log && len(f.groups) > 10 }) || len(b.files) < 3 {
			t.Fatalf("%d stages", len(b.files))
		}
		return b
	}
}

// look finds the byte classes of one stage.
func (b *stageBench) look(t *testing.T, name string) stageFile {
	t.Helper()
	data, err := contentOf(b.w.disk, filepath.Join(stageDir(), name))
	must(t, err)
	id, err := cairn.ParsePackID(strings.TrimSuffix(name, ".stage"))
	must(t, err)
	s, err := stage.Open(b.w.copyOf(), stageDir(), id, b.id)
	must(t, err)
	defer s.Close()
	f := stageFile{name: name, log: s.Kind == pack.Log, data: data, last: make(map[string]int)}
	f.spans = []span{{"header", 0, 160}, {"header zeros", 160, headerSize}}
	end := min(len(data), headerSize+int(s.Capacity))
	if f.log {
		end = b.lookGroups(&f, s)
	} else {
		f.spans = append(f.spans, span{"frames of a data stage", headerSize, end})
	}
	if sealAt := headerSize + int(s.Capacity); len(data) > sealAt {
		f.spans = append(f.spans, span{"between pack and seal", end, sealAt}, span{"seal block", sealAt, min(sealAt+8192, len(data))})
		if at := bytes.Index(data[sealAt:], []byte("cairnint")); at > 0 {
			f.spans = append(f.spans, span{"intents", sealAt + at, len(data)})
		}
	}
	return f
}

// lookGroups walks a log stage and returns where its last group ends.
func (b *stageBench) lookGroups(f *stageFile, s *stage.File) int {
	key := b.key.Pack(s.Pack, s.Prefix)
	off := headerSize
	for off+pack.MinGroup <= len(f.data) {
		h, err := pack.OpenHead(key, f.data[off:off+pack.HeadSize], uint64(off-headerSize))
		if err != nil {
			break
		}
		end := off + int(h.Length)
		f.spans = append(f.spans, span{"group head", off, off + pack.HeadSize}, span{"group frames", off + pack.HeadSize, end - int(h.Records)},
			span{"group records", end - int(h.Records), end})
		f.groups = append(f.groups, span{"", off, end})
		off = end
	}
	f.spans = slices.DeleteFunc(f.spans, func(s span) bool { return s.lo == s.hi })
	// The classes of each group would crowd out all others.
	group := func(step int) int {
		size, ok := b.w.steps[step-1][f.name]
		if !ok || step > 1 && b.w.steps[step-2][f.name] == size {
			return -1
		}
		return slices.IndexFunc(f.groups, func(g span) bool { return int64(g.hi) == size })
	}
	for step := 1; step <= b.w.setup; step++ {
		f.last[""] = max(f.last[""], group(step))
	}
	for key, vs := range b.w.keys {
		f.last[key] = group(vs[len(vs)-1].step)
	}
	return off
}

// pickSpan takes a class first, so that the many groups do not crowd out the
// rest.
func pickSpan(r *rand.Rand, spans []span) span {
	by := make(map[string][]span)
	for _, s := range spans {
		by[s.class] = append(by[s.class], s)
	}
	names := slices.Sorted(maps.Keys(by))
	return pick(r, by[names[r.IntN(len(names))]])
}

func (b *stageBench) do(t *testing.T, r *rand.Rand) (o outcome) {
	f := &b.files[r.IntN(len(b.files))]
	if log := slices.IndexFunc(b.files, func(f stageFile) bool { return f.log }); r.IntN(2) == 0 {
		f = &b.files[log]
	}
	other := b.files[r.IntN(len(b.files))].data
	c := alter(r, f.data, pickSpan(r, f.spans), [][]byte{other})
	o.class, o.what, o.result = c.class, f.name+": "+c.how, exact

	ctx := t.Context()
	disk := b.w.copyOf()
	if o.err = replace(disk, filepath.Join(stageDir(), f.name), c.data); o.err != nil {
		return o
	}
	re := &reach{boxes: newBoxes(b.w.boxes), away: b.name != "placed"}
	g, err := b.open(ctx, disk, re, cache.Config{MemoryBytes: 1 << 20})
	if err != nil {
		o.result = failed
		if !known(err) {
			o.err = fmt.Errorf("the start fails with an error of no class: %w", err)
		}
		return o
	}
	got := readAll(ctx, g.Store, b.w)
	st, err := g.Status(ctx)
	if o.err = errors.Join(err, got.wrong, b.allowed(*f, c, got, st.Damage, &o)); o.err == nil && b.name == "placed" && got.fine() {
		o.err = b.spreadAll(t, g, re)
	}
	o.err = errors.Join(o.err, g.close(ctx))
	return o
}

// allowed says what may not be exact after a change of f, and sets the result.
//
// A sealed stage, one that others follow, and groups with a good one behind
// them are known to have been whole: what is missing there is told. The last
// groups of an open log stage are not: a torn write looks the same, so what
// only they named may be gone without a word, and nothing else.
func (b *stageBench) allowed(f stageFile, c changed, got reading, damage []string, o *outcome) error {
	switch {
	case len(damage) > 0:
		o.result = noticed
		if !got.fine() {
			o.result = failed
		}
	case len(got.errs) > 0:
		o.result = failed
	case len(got.stale) > 0:
		o.result = torn
	}
	if !f.log {
		for key := range got.stale {
			return fmt.Errorf("%s: version %d after a change of a stage without records, damage %q", key, got.stale[key], damage)
		}
		return nil
	}
	first, lastGood := len(f.groups), -1 // the first group that changed, the last that did not
	for i, g := range f.groups {
		if !same(f.data, c.data, g.lo, g.hi) {
			first = min(first, i)
		} else {
			lastGood = i
		}
	}
	if len(c.data) <= headerSize || !same(f.data, c.data, 0, headerSize) {
		first = 0 // the whole file is in question
	}
	if first <= f.last[""] {
		if len(damage) == 0 && first < lastGood {
			return errors.New("groups were damaged in front of good ones, and nothing says so")
		}
		return nil // without buckets and nodes nothing needs to be found
	}
	for key := range got.stale {
		if g := f.last[key]; g < first {
			return fmt.Errorf("%s: version %d, though its group %d comes before the damage at group %d: %q", key, got.stale[key], g, first, damage)
		} else if same(f.data, c.data, f.groups[g].lo, f.groups[g].hi) {
			return fmt.Errorf("%s: version %d, though its group %d is whole: %q", key, got.stale[key], g, damage)
		}
	}
	if first < lastGood && len(damage) == 0 {
		return errors.New("groups were damaged in front of good ones, and nothing says so")
	}
	return nil
}

// spreadAll lets the packs reach all nodes, and reads what stands there.
func (b *stageBench) spreadAll(t *testing.T, g *gateway, re *reach) error {
	if err := g.Flush(t.Context()); err != nil && !known(err) {
		return fmt.Errorf("flush: %w", err)
	} else if err != nil {
		return nil // told
	}
	fl := newFleet(t, b.house, re.boxes)
	defer fl.Close()
	found, err := fl.Survey(t.Context())
	if err != nil {
		return err
	}
	for id, at := range found {
		tr, err := fl.Trailer(t.Context(), id, at)
		if err != nil {
			return fmt.Errorf("pack %v after it was spread: %w", id, err)
		}
		stand := make(map[uint8]bool)
		for _, l := range at { // a stage whose seal rotted may have sent some twice
			if len(fl.Verify(t.Context(), tr.Params, []cairn.Location{l})) == 0 {
				return fmt.Errorf("pack %v: shard %d on %v does not verify", id, l.Index, l.Node)
			}
			stand[l.Index] = true
		}
		if len(stand) < tr.Coding.N() {
			return fmt.Errorf("pack %v was spread, %d shards verify", id, len(stand))
		}
		if err := fl.Read(t.Context(), tr.Params, at, 0, make([]byte, uint64(tr.Coding.K)*tr.Length), 0); err != nil {
			return fmt.Errorf("pack %v after it was spread: %w", id, err)
		}
	}
	got := readAll(t.Context(), g.Store, b.w)
	return errors.Join(got.wrong, got.say())
}
