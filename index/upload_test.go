package index

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/race"
	"github.com/cairn-storage/cairn/pack"
)

// uid is upload 1, 2 ...
func uid(n byte) pack.UploadID { return pack.UploadID{n, 15: n} }

const uploads = 4 // ids that observe asks for

func upRec(s cairn.Stamp, id byte, key string) Change {
	return rec(s, pack.Upload{ID: uid(id), Bucket: 1, Key: key, Created: s.LSN, Algorithm: "CRC32", Meta: map[string]string{"k": key}})
}

func partRec(s cairn.Stamp, id byte, number uint16, packs string) Change {
	parts := partsIn(frame, packs)
	if packs == "" {
		parts = []pack.Part{{ID: crypt.ContentID{1}}}
	}
	return rec(s, pack.UploadPart{Upload: uid(id), Number: number, Size: parts[0].Size, Modified: s.LSN, ETag: "e" + s.String(),
		Checksum: []cairn.Checksum{{Algorithm: "CRC32", Value: s.String()}}, Parts: parts})
}

func doneRec(s cairn.Stamp, id byte, key, packs string) Change {
	p := putRec(s, key, packs).Record.Body.(pack.Put)
	return rec(s, pack.UploadDone{Upload: uid(id), Put: p})
}

func goneRec(s cairn.Stamp, id byte) Change { return rec(s, pack.UploadGone{Upload: uid(id)}) }

// uploadHistories are histories of uploads that a committer may write.
var uploadHistories = map[string][]Change{
	"upload in progress":            {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "AB"), partRec(st(1, 4), 1, 2, "B"), partRec(st(1, 5), 1, 10_000, "")},
	"upload done":                   {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), partRec(st(1, 4), 1, 2, "B"), partRec(st(1, 5), 1, 3, "C"), doneRec(st(1, 6), 1, "x", "AC")},
	"upload gone":                   {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "AB"), partRec(st(1, 4), 1, 2, "B"), goneRec(st(1, 5), 1)},
	"part replaced":                 {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), partRec(st(1, 4), 1, 1, "B"), partRec(st(1, 5), 1, 1, "C")},
	"part replaced, then done":      {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), partRec(st(1, 4), 1, 1, "B"), doneRec(st(1, 5), 1, "x", "B")},
	"part void":                     {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), partRec(st(1, 4), 1, 1, "B"), voidRec(st(1, 5), st(1, 4)), partRec(st(1, 6), 1, 2, "C"), voidRec(st(1, 7), st(1, 6))},
	"void of a void of a part":      {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), voidRec(st(1, 4), st(1, 3)), voidRec(st(1, 5), st(1, 4))},
	"void done":                     {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), partRec(st(1, 4), 1, 2, "B"), doneRec(st(1, 5), 1, "x", "A"), voidRec(st(1, 6), st(1, 5))},
	"void gone, then done":          {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), goneRec(st(1, 4), 1), voidRec(st(1, 5), st(1, 4)), partRec(st(1, 6), 1, 2, "B"), doneRec(st(1, 7), 1, "x", "AB")},
	"void of a void of a done":      {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), doneRec(st(1, 4), 1, "x", "A"), voidRec(st(1, 5), st(1, 4)), voidRec(st(1, 6), st(1, 5))},
	"done, overwritten":             {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), doneRec(st(1, 4), 1, "x", "A"), putRec(st(1, 5), "x", "B")},
	"done, deleted, void":           {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), doneRec(st(1, 4), 1, "x", "A"), voidRec(st(1, 5), st(1, 4)), delRec(st(1, 6), "x")},
	"done over an object":           {putRec(st(1, 1), "x", "D"), upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), doneRec(st(1, 4), 1, "x", "A"), voidRec(st(1, 5), st(1, 4))},
	"done, moved":                   {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), doneRec(st(1, 4), 1, "x", "A"), moveRec(st(1, 5), "x", st(1, 4), "B")},
	"life cuts off the done":        {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), doneRec(st(1, 4), 1, "x", "A"), lifeRec(2, st(1, 3)), partRec(st(2, 2), 1, 2, "B"), goneRec(st(2, 3), 1)},
	"life cuts off parts and end":   {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), partRec(st(1, 4), 1, 1, "B"), partRec(st(1, 5), 1, 2, "C"), goneRec(st(1, 6), 1), lifeRec(2, st(1, 3))},
	"life cuts off all":             {putRec(st(1, 2), "y", "D"), upRec(st(1, 3), 1, "x"), lifeRec(2, st(1, 2)), upRec(st(2, 2), 2, "x"), partRec(st(2, 3), 2, 1, "A")},
	"life that never was":           {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), lifeRec(2, st(1, 2)), lifeRec(3, st(1, 3))},
	"two uploads of a key":          {upRec(st(1, 2), 2, "x"), upRec(st(1, 3), 1, "x"), partRec(st(1, 4), 2, 1, "A"), partRec(st(1, 5), 1, 1, "A"), doneRec(st(1, 6), 1, "x", "A"), doneRec(st(1, 7), 2, "x", "A")},
	"pack shared by parts, one out": {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), partRec(st(1, 4), 1, 2, "A"), partRec(st(1, 5), 1, 1, "B"), upRec(st(1, 6), 2, "y"), partRec(st(1, 7), 2, 1, "A"), goneRec(st(1, 8), 1)},
}

// wildUploads are histories that no committer writes; that nothing is told of
// them twice in two ways must hold all the same.
var wildUploads = map[string][]Change{
	"parts without an upload":    {partRec(st(1, 3), 1, 1, "A"), partRec(st(1, 4), 1, 1, "B"), partRec(st(1, 5), 2, 1, "B"), goneRec(st(1, 6), 2)},
	"part after the end":         {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), goneRec(st(1, 4), 1), partRec(st(1, 5), 1, 1, "B"), partRec(st(1, 6), 1, 2, "C")},
	"begun twice":                {upRec(st(1, 2), 1, "x"), upRec(st(1, 3), 1, "y"), partRec(st(1, 4), 1, 1, "A"), upRec(st(1, 5), 1, "z"), voidRec(st(1, 6), st(1, 5))},
	"done twice and gone":        {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), doneRec(st(1, 4), 1, "x", "A"), doneRec(st(1, 5), 1, "y", "AB"), goneRec(st(1, 6), 1), voidRec(st(1, 7), st(1, 5))},
	"end before the beginning":   {goneRec(st(1, 2), 1), upRec(st(1, 3), 1, "x"), partRec(st(1, 4), 1, 1, "A"), voidRec(st(1, 5), st(1, 2))},
	"void upload":                {upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), voidRec(st(1, 4), st(1, 2))},
	"part before its own upload": {partRec(st(1, 2), 1, 1, "A"), upRec(st(1, 3), 1, "x"), partRec(st(1, 4), 1, 2, "B"), doneRec(st(1, 5), 1, "x", "B"), voidRec(st(1, 6), st(1, 5))},
}

// Uploads, objects, voids and lives at random, as a committer may write them
// and as none would; in random orders, batches and repetitions. Rows, and so
// references, follow from the set alone.
func TestRandomUploadsInAnyOrder(t *testing.T) {
	rounds := uint64(40)
	if long() {
		rounds = 5000
	}
	for seed := range rounds {
		rng := rand.New(rand.NewPCG(seed, 77))
		h := randomUploads(rng, 12+rng.IntN(20), seed%2 == 0)
		want, all := model(h), ""
		for range 3 {
			x := fresh(t)
			applyAnyhow(t, x, rng, h)
			if got := observe(t, x); got != want {
				t.Fatalf("seed %d gives\n%swant\n%s\nof %+v", seed, got, want, h)
			}
			got := dump(t, x, tableUpload, tableEnd, tablePart, tablePast, tableListed, tableRef, tableExtents, tableLive)
			if all == "" {
				all = got
			}
			if got != all {
				t.Fatalf("seed %d: rows are\n%sor\n%s", seed, got, all)
			}
			must(t, x.Close())
		}
	}
}

// applyAnyhow applies h in any order, batches and repetitions.
func applyAnyhow(t testing.TB, x *Index, rng *rand.Rand, h []Change) {
	t.Helper()
	var batch []Change
	for _, i := range rng.Perm(len(h)) {
		batch = append(batch, h[i])
		if rng.IntN(4) == 0 {
			batch = append(batch, h[rng.IntN(len(h))])
		}
		if rng.IntN(3) == 0 {
			must(t, x.Apply(batch))
			batch = nil
		}
	}
	must(t, x.Apply(batch))
}

// randomUploads is a history of n records. A tame one has nothing that a
// committer would not write: it begins uploads first and adds to none that is
// over.
func randomUploads(rng *rand.Rand, n int, tame bool) (h []Change) {
	life, lsn := uint32(1), uint64(0)
	packs := func() (s string) {
		for range 1 + rng.IntN(3) {
			s += string('A' + byte(rng.IntN(6)))
		}
		return s
	}
	counts := func() *uploadsModel { // as of now
		m := &uploadsModel{}
		m.apply(pack.Record{})
		for _, r := range counting(h) {
			m.apply(r)
		}
		return m
	}
	for len(h) < n {
		lsn++
		s, id, key := st(life, lsn), byte(1+rng.IntN(3)), fmt.Sprintf("k%d", rng.IntN(3))
		m := counts()
		_, begun := m.begun[id]
		open := begun && !m.ended[id] || !tame
		switch k := rng.IntN(20); {
		case k < 4 && (!begun && !m.ended[id] && len(m.parts[id]) == 0 || !tame):
			h = append(h, upRec(s, id, key))
		case k < 11 && open:
			h = append(h, partRec(s, id, uint16(1+rng.IntN(3)), packs()))
		case k == 11 && open:
			h = append(h, goneRec(s, id))
		case k < 14 && open:
			h = append(h, doneRec(s, id, key, packs()))
		case k == 14:
			h = append(h, putRec(s, key, packs()))
		case k == 15:
			h = append(h, delRec(s, key))
		case k < 18 && len(h) > 0:
			of := h[max(0, len(h)-1-rng.IntN(4))].Record
			_, isLife := of.Body.(pack.Life)
			if _, is := of.Body.(pack.Upload); is && tame || isLife {
				continue // void only by a later life, and an upload then with its parts
			}
			h = append(h, voidRec(s, of.Stamp))
		case k == 18 && len(h) > 0:
			last := h[max(0, len(h)-1-rng.IntN(4))].Record.Stamp
			life, lsn = life+1, 1
			h = append(h, lifeRec(life, last))
		}
	}
	return h
}

// counting are the records of h that count, in order.
func counting(h []Change) (recs []pack.Record) {
	tr := &truth{voids: map[cairn.Stamp][]cairn.Stamp{}}
	for _, c := range h {
		switch b := c.Record.Body.(type) {
		case pack.Life:
			tr.addLife(Life{Number: c.Record.Stamp.Life, Life: b, Stamp: c.Record.Stamp})
		case pack.Void:
			tr.addVoid(b.Of, c.Record.Stamp)
		}
	}
	for _, c := range h {
		if tr.counts(c.Record.Stamp) {
			recs = append(recs, c.Record)
		}
	}
	return recs
}

// dump is every row of tables.
func dump(t testing.TB, x *Index, tables ...byte) string {
	t.Helper()
	var b strings.Builder
	for _, table := range tables {
		must(t, scan(x.db, []byte{table}, func(k, v []byte) error {
			fmt.Fprintf(&b, "%q = %x\n", k, v)
			return nil
		}))
	}
	return b.String()
}

// Tombstones are dropped at random moments of a history as it is written, and
// power goes now and then: nothing that can be asked changes, and in the end
// nothing is left of what is over.
func TestRandomUploadsForgotten(t *testing.T) {
	rounds := uint64(20)
	if long() {
		rounds = 3000
	}
	for seed := range uint64(race.Some(int(rounds), 4)) {
		rng := rand.New(rand.NewPCG(seed, 78))
		h := randomUploads(rng, 12+rng.IntN(24), true)
		fs := durable.NewMem()
		x := open(t, fs)
		var floor cairn.Stamp
		for i, c := range h {
			must(t, x.Apply([]Change{c}))
			if rng.IntN(4) == 0 && settled(h, c.Record.Stamp) {
				floor = c.Record.Stamp
				must(t, x.DropTombstones(floor))
				must(t, x.ForgetUploads(0))
			}
			if rng.IntN(5) == 0 { // a stage that came back
				must(t, x.Apply([]Change{h[rng.IntN(i+1)]}))
			}
			if rng.IntN(12) == 0 {
				must(t, x.Flush())
				must(t, x.Close())
				fs = fs.Crash(50, seed)
				x = open(t, fs)
			}
			if i%3 > 0 && i+1 < len(h) {
				continue
			}
			if got, want := observe(t, x), model(h[:i+1]); got != want {
				t.Fatalf("seed %d, step %d, floor %v:\n%swant\n%s\nof %+v", seed, i, floor, got, want, h[:i+1])
			}
		}
		must(t, x.DropTombstones(st(100, 0)))
		m := &uploadsModel{}
		m.apply(pack.Record{})
		for _, r := range counting(h) {
			m.apply(r)
		}
		parts, begun := 0, 0
		for id := range m.begun {
			if !m.ended[id] {
				begun++
				parts += len(m.parts[id])
			}
		}
		for table, want := range map[byte]int{tableLoose: 0, tablePast: 0, tableListed: begun, tableUpload: begun, tablePart: parts} {
			if n := rows(t, x, table); n != want {
				t.Fatalf("seed %d: %d rows left in table %c, want %d, of %+v", seed, n, table, want, h)
			}
		}
		must(t, x.ForgetUploads(1<<62))
		if n := rows(t, x, tableEnd); n != 0 {
			t.Fatalf("seed %d: %d ends left", seed, n)
		}
		must(t, x.Close())
	}
}

// settled tells whether nothing after floor in h takes back what is below.
func settled(h []Change, floor cairn.Stamp) bool {
	for _, c := range h {
		if c.Record.Stamp.Compare(floor) < 0 {
			continue
		}
		switch b := c.Record.Body.(type) {
		case pack.Void:
			if b.Of.Compare(floor) < 0 {
				return false
			}
		case pack.Life:
			if b.Last.Compare(floor) < 0 {
				return false
			}
		}
	}
	return true
}
