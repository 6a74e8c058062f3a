package index

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

func stampOf(t testing.TB, x *Index, key string) cairn.Stamp {
	t.Helper()
	v, err := x.Object(1, key)
	if errors.Is(err, cairn.ErrNotExist) {
		return cairn.Stamp{}
	}
	must(t, err)
	return v.Stamp
}

// Pack B with PUT x v2 was applied and its stage released; after a crash the
// stage of pack A, with PUT x v1, is replayed.
func TestHazardA2H1(t *testing.T) {
	fs := durable.NewMem()
	x := open(t, fs)
	must(t, x.Apply([]Change{putRec(st(1, 3), "x", "B")}))
	must(t, x.Flush())
	x = open(t, fs.Crash(0, 1))
	must(t, x.Apply([]Change{putRec(st(1, 2), "x", "A")}))
	if s := stampOf(t, x, "x"); s != st(1, 3) {
		t.Errorf("x is of %v", s)
	}
	if is, err := x.Referenced(packID('A')); err != nil || is {
		t.Errorf("the pack of the older version is referenced: %v, %v", is, err)
	}
}

// DELETE x was applied and released; then the older PUT is replayed. The same
// once more after the tombstone is gone: the file came back (H4).
func TestHazardA2H2(t *testing.T) {
	fs := durable.NewMem()
	x := open(t, fs)
	must(t, x.Apply([]Change{delRec(st(1, 3), "x")}))
	must(t, x.Flush())
	fs = fs.Crash(0, 1)
	x = open(t, fs)
	must(t, x.Apply([]Change{putRec(st(1, 2), "x", "A")}))
	if s := stampOf(t, x, "x"); !s.IsZero() {
		t.Errorf("x returned, of %v", s)
	}
	must(t, x.DropTombstones(st(1, 4)))
	must(t, x.Close())
	x = open(t, fs)
	must(t, x.Apply([]Change{delRec(st(1, 3), "x")}))
	must(t, x.DropTombstones(st(1, 4)))
	must(t, x.Apply([]Change{putRec(st(1, 2), "x", "A")}))
	if s := stampOf(t, x, "x"); !s.IsZero() {
		t.Errorf("x returned after its tombstone was dropped, of %v", s)
	}
	must(t, x.Apply([]Change{putRec(st(1, 5), "x", "B")}))
	if s := stampOf(t, x, "x"); s != st(1, 5) {
		t.Errorf("x is of %v", s)
	}
}

// LSN 57 reached nodes but was torn here; the next life says that 56 was the
// last, and issues what it likes. Whatever is seen first, 57 never was.
func TestHazardA2H3(t *testing.T) {
	h := []Change{putRec(st(1, 56), "x", "A"), putRec(st(1, 57), "x", "B"), lifeRec(2, st(1, 56))}
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 2, 0}} {
		x := fresh(t)
		for _, i := range order {
			must(t, x.Apply([]Change{h[i]}))
		}
		if s := stampOf(t, x, "x"); s != st(1, 56) {
			t.Errorf("order %v: x is of %v", order, s)
		}
		lives := x.Lives()
		if len(lives) != 1 || lives[0].Number != 2 || lives[0].Last != st(1, 56) || lives[0].Stamp != st(2, 1) {
			t.Errorf("lives are %+v", lives)
		}
	}
}

// What was applied survives power loss with a flush, and only then, placement
// included; one flush covers all that wait.
func TestHazardA4(t *testing.T) {
	mem := durable.NewMem()
	counted, counter := durable.Count(mem)
	x := open(t, counted)
	before := counter.Counts()
	for i := range uint64(100) {
		must(t, x.Apply([]Change{putRec(st(1, i+1), "k", "A")}))
	}
	must(t, x.SetPack(PackRow{Params: pack.Params{ID: packID('A')}, State: Spread}))
	if n := counter.Counts().Sub(before).Fsyncs(); n != 0 {
		t.Errorf("100 batches cost %d fsyncs, want none", n)
	}
	lost := open(t, mem.Crash(0, 1))
	if s := lost.Applied(); !s.IsZero() {
		t.Errorf("without a flush %v survives: this test cannot see what a flush does", s)
	}
	must(t, x.Flush())
	// Twice that when Pebble follows it with a compaction of what it flushed.
	if n := counter.Counts().Sub(before).Fsyncs(); n > 8 {
		t.Errorf("a flush cost %d fsyncs, want one of the table, the manifest and the directory each", n)
	}
	kept := open(t, mem.Crash(0, 1))
	if s := kept.Applied(); s != st(1, 100) {
		t.Errorf("after the flush only %v survives", s)
	}
	if s := stampOf(t, kept, "k"); s != st(1, 100) {
		t.Errorf("k is of %v", s)
	}
	if p, err := kept.Pack(packID('A')); err != nil || p.State != Spread {
		t.Errorf("placement: %+v, %v", p, err)
	}
}

// PUT x in A, COPY x to y, DELETE x: A lives for y.
func TestHazardA6H1(t *testing.T) {
	x := fresh(t)
	must(t, x.Apply([]Change{putRec(st(1, 1), "x", "A")}))
	v, err := x.Object(1, "x")
	must(t, err)
	v.Put.Key = "y"
	must(t, x.Apply([]Change{rec(st(1, 2), v.Put)}))
	must(t, x.Apply([]Change{delRec(st(1, 3), "x")}))
	var refs []Ref
	for r, err := range x.Refs(packID('A')) {
		must(t, err)
		refs = append(refs, r)
	}
	if want := []Ref{{Pack: packID('A'), Bucket: 1, Key: "y", Stamp: st(1, 2)}}; !slices.Equal(refs, want) {
		t.Errorf("refs are %v, want %v", refs, want)
	}
	must(t, x.Apply([]Change{delRec(st(1, 4), "y")}))
	if is, err := x.Referenced(packID('A')); err != nil || is {
		t.Errorf("nothing is left, Referenced = %v, %v", is, err)
	}
}

// UploadPart into A on day 1, Complete on day 3: A is referred to at every
// moment, by the part and then by the version, and B, which was not chosen, up
// to the end and no longer.
func TestHazardA6H2(t *testing.T) {
	x := fresh(t)
	refs := func(name byte) (s string) {
		t.Helper()
		for r, err := range x.Refs(packID(name)) {
			must(t, err)
			if r.Part != 0 && (r.Upload != uid(1) || r.Key != "" || r.Bucket != 0) || r.Part == 0 && (r.Key != "x" || r.Bucket != 1) {
				t.Errorf("reference %+v", r)
			}
			s += fmt.Sprintf("%d:%v ", r.Part, r.Stamp)
		}
		return s
	}
	for _, step := range []struct {
		name       string
		apply      []Change
		a, b       string
		mayDropToo bool // pack B
	}{
		{"parts, before their upload is known", []Change{partRec(st(1, 3), 1, 1, "A"), partRec(st(1, 4), 1, 2, "B")}, "1:1.3 ", "2:1.4 ", false},
		{"the upload", []Change{upRec(st(1, 2), 1, "x")}, "1:1.3 ", "2:1.4 ", false},
		{"the end", []Change{doneRec(st(1, 6), 1, "x", "A")}, "0:1.6 ", "", true},
		{"the end is void", []Change{voidRec(st(1, 7), st(1, 6))}, "1:1.3 ", "2:1.4 ", false},
		{"another end", []Change{doneRec(st(1, 8), 1, "x", "A")}, "0:1.8 ", "", true},
		{"a part that is replayed late", []Change{partRec(st(1, 5), 1, 2, "B")}, "0:1.8 ", "", true},
	} {
		must(t, x.Apply(step.apply))
		if a, b := refs('A'), refs('B'); a != step.a || b != step.b {
			t.Fatalf("%s: A has %q, B has %q", step.name, a, b)
		}
		for name, may := range map[byte]bool{'A': false, 'B': step.mayDropToo} {
			if is, err := x.Referenced(packID(name)); err != nil || is == may {
				t.Errorf("%s: pack %c: Referenced = %v, %v", step.name, name, is, err)
			}
		}
	}
	// A pack that somebody retires all the same is not dropped under a part.
	must(t, x.SetPack(PackRow{Params: pack.Params{ID: packID('C')}, State: Retired}))
	must(t, x.Apply([]Change{upRec(st(1, 9), 2, "y"), partRec(st(1, 10), 2, 1, "C")}))
	if err := x.DropPack(packID('C')); !errors.Is(err, cairn.ErrPrecondition) {
		t.Errorf("DropPack under an uploaded part: %v", err)
	}
}

// Compaction resolved x v1 and logs its move (LSN 50) after the overwrite at
// LSN 45: the new bytes stay.
func TestHazardA6H4(t *testing.T) {
	x := fresh(t)
	must(t, x.Apply([]Change{putRec(st(1, 1), "x", "A"), putRec(st(1, 45), "x", "B"), moveRec(st(1, 50), "x", st(1, 1), "C")}))
	v, err := x.Object(1, "x")
	must(t, err)
	if got := names(packsOf(v.Put.Parts, nil)); v.Stamp != st(1, 45) || got != "B" {
		t.Errorf("x is of %v in %s", v.Stamp, got)
	}
	// And where it applies, it keeps the stamp: a PUT at LSN 47 that is
	// replayed later still wins.
	must(t, x.Apply([]Change{moveRec(st(1, 51), "x", st(1, 45), "D"), putRec(st(1, 47), "x", "E")}))
	if s := stampOf(t, x, "x"); s != st(1, 47) {
		t.Errorf("x is of %v", s)
	}
}

// A6-H3: a copy committed from extents that compaction has retired.
func TestHazardA6H3(t *testing.T) {
	retired := rec(st(1, 5), pack.Retired{Pack: packID('A')})
	for name, late := range map[string]Change{
		"part": partRec(st(1, 6), 1, 1, "BA"),
		"done": doneRec(st(1, 6), 1, "y", "A"),
		"put":  putRec(st(1, 6), "y", "BA"),
		"move": moveRec(st(1, 6), "x", st(1, 1), "A"),
	} {
		t.Run(name, func(t *testing.T) {
			x := fresh(t)
			must(t, x.Apply([]Change{putRec(st(1, 1), "x", "B"), retired}))
			before := observe(t, x)
			err := x.Apply([]Change{putRec(st(1, 7), "z", "B"), late})
			if !errors.Is(err, cairn.ErrCorrupt) || !contains(err, packID('A').String()) {
				t.Errorf("error is %v", err)
			}
			if after := observe(t, x); after != before {
				t.Errorf("a refused batch left\n%s", after)
			}
			y := fresh(t)
			must(t, y.Apply([]Change{putRec(st(1, 1), "x", "B"), late}))
			if err := y.Apply([]Change{retired}); !errors.Is(err, cairn.ErrCorrupt) {
				t.Errorf("the other way round: %v", err)
			}
		})
	}
	// Replay in any order meets older records that named it.
	x := fresh(t)
	must(t, x.Apply([]Change{retired}))
	must(t, x.Apply([]Change{putRec(st(1, 2), "x", "A")}))
	must(t, x.Apply([]Change{moveRec(st(1, 3), "x", st(1, 2), "B")}))
	if is, err := x.Referenced(packID('A')); err != nil || is {
		t.Errorf("Referenced = %v, %v", is, err)
	}
}

// A2-H4 and DESIGN section 8: a void retired record retires nothing.
func TestVoidRetiredRecordDoesNotCount(t *testing.T) {
	x := fresh(t)
	must(t, x.SetPack(PackRow{Params: pack.Params{ID: packID('A')}, State: Spread}))
	must(t, x.Apply([]Change{rec(st(1, 5), pack.Retired{Pack: packID('A')})}))
	state := func(want PackState) {
		t.Helper()
		if p, err := x.Pack(packID('A')); err != nil || p.State != want {
			t.Errorf("state is %v, %v, want %v", p.State, err, want)
		}
		for p, err := range x.Packs(cairn.PackID{}) {
			if err != nil || p.State != want {
				t.Errorf("listed state is %v, %v, want %v", p.State, err, want)
			}
		}
	}
	state(Retired)
	must(t, x.UpdatePack(packID('A'), func(p *PackRow) error { p.Bytes = 7; return nil }))
	state(Retired)
	must(t, x.Apply([]Change{lifeRec(2, st(1, 4))}))
	state(Spread)
	must(t, x.Apply([]Change{putRec(st(2, 2), "x", "A")}))
}
