package index

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/race"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cockroachdb/pebble/v2"
)

// numbered is upload n, for tests with many.
func numbered(n int) (id pack.UploadID) {
	copy(id[:], fmt.Sprintf("%016d", n+1))
	return id
}

func begin(lsn uint64, id pack.UploadID, key string) Change {
	return rec(st(1, lsn), pack.Upload{ID: id, Bucket: 1, Key: key, Created: lsn, Header: map[string]string{"Content-Type": "x/y"}})
}

// listedUploads is what Uploads must tell, page sizes aside. all is in order
// of key, then stamp.
func listedUploads(all []Upload, prefix, delimiter, afterKey string, afterID pack.UploadID) (names []string) {
	var mark cairn.Stamp
	for _, u := range all {
		if u.ID == afterID {
			mark = u.Stamp
		}
	}
	for _, u := range all {
		if !strings.HasPrefix(u.Key, prefix) {
			continue
		}
		if delimiter != "" {
			if i := strings.Index(u.Key[len(prefix):], delimiter); i >= 0 {
				common := u.Key[:len(prefix)+i+len(delimiter)]
				if common > afterKey && !slices.Contains(names, "P"+common) {
					names = append(names, "P"+common)
				}
				continue
			}
		}
		if u.Key > afterKey || u.Key == afterKey && afterID != (pack.UploadID{}) && u.Stamp.Compare(mark) > 0 {
			names = append(names, u.Key+" "+u.Stamp.String())
		}
	}
	return names
}

// pagedUploads lists page by page, checking each page's shape.
func pagedUploads(t testing.TB, x *Index, prefix, delimiter, afterKey string, afterID pack.UploadID, max int) (names []string) {
	t.Helper()
	for pages := 0; ; pages++ {
		p, err := x.Uploads(1, prefix, delimiter, afterKey, afterID, max)
		must(t, err)
		if n := len(p.Uploads) + len(p.Prefixes); n > max || p.More && n < max || pages > 10_000 {
			t.Fatalf("page of %d entries, at most %d, more = %v", n, max, p.More)
		}
		var page []string
		at := 0
		for _, u := range p.Uploads {
			if u.Created != u.Stamp.LSN || u.Bucket != 1 || u.Header != nil {
				t.Fatalf("listed is %+v", u)
			}
			for ; at < len(p.Prefixes) && p.Prefixes[at] < u.Key; at++ {
				page = append(page, "P"+p.Prefixes[at])
			}
			page = append(page, u.Key+" "+u.Stamp.String())
		}
		for ; at < len(p.Prefixes); at++ {
			page = append(page, "P"+p.Prefixes[at])
		}
		names = append(names, page...)
		if !p.More {
			return names
		}
		if last := page[len(page)-1]; (p.NextID == pack.UploadID{}) != strings.HasPrefix(last, "P") || !strings.Contains(last, p.NextKey) {
			t.Fatalf("next is %q, %v after %q", p.NextKey, p.NextID, last)
		}
		afterKey, afterID = p.NextKey, p.NextID
	}
}

func TestUploadsIsWhatS3Says(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	word := func(n int) string {
		b := make([]byte, rng.IntN(n))
		for i := range b {
			b[i] = "ab/-\x00\x01\xff"[rng.IntN(7)]
		}
		return string(b)
	}
	for range 8 {
		x := fresh(t)
		var all []Upload
		var h []Change
		for i := range 150 {
			h = append(h, begin(uint64(i+1), numbered(rng.IntN(1<<30)*200+i), "k"+word(5)))
			all = append(all, Upload{Stamp: h[i].Record.Stamp, Upload: h[i].Record.Body.(pack.Upload)})
		}
		slices.SortFunc(all, func(a, b Upload) int {
			if c := strings.Compare(a.Key, b.Key); c != 0 {
				return c
			}
			return a.Stamp.Compare(b.Stamp)
		})
		// Neighbours that must not show: other buckets, one that is over.
		h = append(h, begin(200, uid(9), "k/gone"), goneRec(st(1, 201), 9),
			rec(st(1, 202), pack.Upload{ID: uid(8), Bucket: 2, Key: "k"}), rec(st(1, 203), pack.Upload{ID: uid(7), Bucket: 0, Key: "k"}))
		must(t, x.Apply(h))
		for range 80 {
			prefix, after, afterID, max := "", "", pack.UploadID{}, 1+rng.IntN(9)
			if rng.IntN(3) > 0 {
				prefix = "k" + word(3)
			}
			switch rng.IntN(4) {
			case 0:
				after = "k" + word(4)
			case 1:
				u := all[rng.IntN(len(all))]
				after, afterID = u.Key, u.ID
			case 2:
				after = all[rng.IntN(len(all))].Key
			}
			delimiter := []string{"", "/", "-", "a", "/a", "\xff", "\x00", "b/"}[rng.IntN(8)]
			got := pagedUploads(t, x, prefix, delimiter, after, afterID, max)
			if want := listedUploads(all, prefix, delimiter, after, afterID); !slices.Equal(got, want) {
				t.Fatalf("prefix %q, delimiter %q, after %q %v, max %d:\n%q\nwant\n%q", prefix, delimiter, after, afterID, max, got, want)
			}
		}
		for bucket, want := range map[uint64]bool{0: true, 1: true, 2: true, 3: false} {
			if any, err := x.BucketUploads(bucket); err != nil || any != want {
				t.Errorf("bucket %d has uploads: %v, %v", bucket, any, err)
			}
		}
		if empty, err := x.BucketEmpty(1); err != nil || !empty {
			t.Errorf("a bucket of uploads has objects: %v", err)
		}
		must(t, x.Close())
	}
}

// An upload that ends while somebody lists still marks the place; once it is
// forgotten the listing goes on where it shows too much, never too little.
func TestUploadsGoesOnAfterOneThatEnded(t *testing.T) {
	x := fresh(t)
	for i := range 4 {
		must(t, x.Apply([]Change{begin(uint64(i+1), uid(byte(9-i)), "k")}))
	}
	page := func(want ...byte) UploadPage {
		t.Helper()
		p, err := x.Uploads(1, "", "", "k", uid(8), 2)
		must(t, err)
		var got []byte
		for _, u := range p.Uploads {
			got = append(got, u.ID[0])
		}
		if !slices.Equal(got, want) {
			t.Errorf("after upload 8 come %v, want %v", got, want)
		}
		return p
	}
	if p := page(7, 6); p.More {
		t.Errorf("more = %v", p.More)
	}
	must(t, x.Apply([]Change{goneRec(st(1, 10), 8)}))
	page(7, 6)
	must(t, x.DropTombstones(st(1, 11)))
	if p := page(9, 7); !p.More || p.NextKey != "k" || p.NextID != uid(7) {
		t.Errorf("page is %+v", p)
	}
	if p, err := x.Uploads(1, "", "", "", pack.UploadID{}, 0); err != nil || p.More || p.Uploads != nil {
		t.Errorf("a page of none is %+v, %v", p, err)
	}
}

// A page costs what it shows, whatever is behind it or hides behind common
// prefixes, and so does a page of parts.
func TestUploadPageCostIsFlat(t *testing.T) {
	x := fresh(t)
	const folders, files, parts = 100, 300, 10_000
	b := x.db.NewBatch()
	for i := range folders * files {
		u := Upload{Stamp: st(1, uint64(i+1)), Upload: pack.Upload{ID: numbered(i), Bucket: 1, Key: fmt.Sprintf("f%03d/%d", i/files, i%7)}}
		must(t, b.Set(listedKey(u), listedRow(u), nil))
	}
	must(t, b.Set(uploadKey(tableUpload, uid(1), st(1, 1)), begin(1, uid(1), "f").Record.AppendTo([]byte{rowCounts}), nil))
	for n := range uint16(parts) {
		p := &partFact{partName: partName{uid(1), n + 1}, stamp: st(1, uint64(n)+2), head: encodePartHead(pack.UploadPart{Size: 1})}
		p.where, _ = encodeWhere(partsIn(frame, "AB"), nil)
		must(t, b.Set(p.key(tablePart), p.row(), nil))
	}
	must(t, b.Commit(pebble.NoSync))
	x.flow.wrote(1)
	must(t, x.Flush())
	steps := func(s pebble.IteratorStats) int {
		i := pebble.InternalIterCall
		return s.ForwardSeekCount[i] + s.ForwardStepCount[i] + s.ReverseSeekCount[i] + s.ReverseStepCount[i]
	}
	for _, after := range []string{"", "f050/3", "f099/0"} {
		p := uploadPage{bucket: 1, prefix: "f", afterKey: after, max: 100}
		must(t, p.read(x.db))
		if n := steps(p.stats); n > 2*100+20 || len(p.Uploads) != 100 {
			t.Errorf("%d uploads after %q cost %d steps", len(p.Uploads), after, n)
		}
	}
	p := uploadPage{bucket: 1, delimiter: "/", max: 1000}
	must(t, p.read(x.db))
	if n := steps(p.stats); n > 4*folders+20 || len(p.Prefixes) != folders {
		t.Errorf("%d common prefixes over %d uploads cost %d steps", len(p.Prefixes), folders*files, n)
	}
	for _, after := range []uint16{0, 5000, 9899} {
		p := partPage{upload: uid(1), after: after, max: 100}
		must(t, p.read(x.db))
		if n := steps(p.stats); n > 2*100+20 || len(p.parts) != 100 || p.parts[0].Number != after+1 {
			t.Errorf("%d parts after %d cost %d steps", len(p.parts), after, n)
		}
	}
}

// Adding a part reads and writes the same however many parts its upload has;
// the end of 10,000 of them is one batch of modest size.
func TestPartsOfALargeUploadCostTheSame(t *testing.T) {
	const probe = 50
	parts := race.Some(10_000, 5)
	part := func(n int) Change { return partRec(st(1, uint64(n)+1), 1, uint16(n), string('A'+byte(n%20))) }
	cost := func(have int) (blocks int64, written uint32, x *Index) {
		x = open(t, durable.NewMem())
		must(t, x.Apply([]Change{upRec(st(1, 1), 1, "x")}))
		must(t, x.batch(func(tx *tx) error { // rows as Apply writes them; with -race that would take long
			for n := range have {
				body := part(n + 1).Record.Body.(pack.UploadPart)
				p := &partFact{partName: partName{uid(1), uint16(n + 1)}, stamp: st(1, uint64(n)+2), head: encodePartHead(body)}
				p.where, _ = encodeWhere(body.Parts, nil)
				must(t, tx.set(p.key(tablePart), p.row()))
				must(t, tx.referPart(p, packsOf(body.Parts, nil)))
			}
			return nil
		}))
		must(t, x.Flush()) // all in tables, whose blocks count
		before := x.db.Metrics().BlockCache
		must(t, x.batch(func(tx *tx) error {
			for n := range probe {
				must(t, tx.apply(part(have+n+1)))
			}
			written = tx.b.Count()
			return nil
		}))
		now := x.db.Metrics().BlockCache
		return now.Hits + now.Misses - before.Hits - before.Misses, written, x
	}
	few, fewRows, _ := cost(100)
	many, manyRows, x := cost(parts - probe)
	// Compaction in the background reads some blocks, too; were the cost that of
	// the parts there, it would be 50 times as many.
	if many > few+20*probe || manyRows != fewRows || manyRows > 3*probe {
		t.Errorf("%d parts more read %d blocks and write %d rows after 100, %d and %d after %d", probe, few, fewRows, many, manyRows, parts-probe)
	}
	var all []pack.Part
	for n := range parts {
		content := part(n + 1).Record.Body.(pack.UploadPart).Parts[0]
		content.ID = crypt.ContentID{byte(n), byte(n >> 8)}
		all = append(all, content)
	}
	done := Change{Parts: all, Record: pack.Record{Stamp: st(1, uint64(parts)+2), Body: pack.UploadDone{Upload: uid(1), Put: pack.Put{
		Bucket: 1, Key: "x", Size: uint64(parts) * frame, List: &pack.Part{Size: frame, Extents: []pack.Extent{{Pack: packID('Z'), Length: frame}}}}}}}
	must(t, x.batch(func(tx *tx) error {
		if err := tx.apply(done); err != nil {
			return err
		}
		if n := tx.b.Len(); n > 2<<20 {
			t.Errorf("the end of %d parts is a batch of %d bytes", parts, n)
		}
		return nil
	}))
	v, err := x.Object(1, "x")
	must(t, err)
	for r, err := range x.Refs(packID('A')) {
		must(t, err)
		if r.Part != 0 || r.Key != "x" {
			t.Errorf("after the end %+v refers", r)
		}
	}
	if len(v.Put.Parts) != parts {
		t.Errorf("the version has %d parts", len(v.Put.Parts))
	}
	must(t, x.DropTombstones(st(2, 1)))
	for table, want := range map[byte]int{tablePart: 0, tablePast: 0, tableUpload: 0, tableLoose: 0, tableEnd: 1, tableListed: 0, tableRef: 21} {
		if n := rows(t, x, table); n != want {
			t.Errorf("%d rows in table %c, want %d", n, table, want)
		}
	}
}

// A part of 5 GiB has 320 extents, which stand in rows of their own, and go
// with it.
func TestLongUploadedPartsRoundTrip(t *testing.T) {
	x := fresh(t)
	part := func(lsn uint64, packs string) Change {
		content := pack.Part{ID: crypt.ContentID{byte(lsn)}}
		for i := range 320 {
			content.Extents = append(content.Extents, pack.Extent{Pack: packID(packs[i%len(packs)]), Offset: uint32(i), Length: 256 * frame})
			content.Size += 256 * frame
		}
		list := &pack.Part{ID: crypt.ContentID{9}, Size: 7, Extents: []pack.Extent{{Pack: packID('L'), Length: 7}}}
		return Change{Parts: []pack.Part{content}, Record: pack.Record{Stamp: st(1, lsn), Body: pack.UploadPart{
			Upload: uid(1), Number: 7, Size: content.Size, List: list}}}
	}
	first, second := part(2, "AB"), part(3, "C")
	check := func(want Change, referenced string) {
		t.Helper()
		p, err := x.UploadPart(uid(1), 7)
		must(t, err)
		body := want.Record.Body.(pack.UploadPart)
		if p.Stamp != want.Record.Stamp || fmt.Sprint(p.Parts, *p.List) != fmt.Sprint(want.Parts, *body.List) || p.Size != body.Size {
			t.Errorf("came back as %v of %d bytes, %d extents", p.Stamp, p.Size, len(p.Parts[0].Extents))
		}
		for _, name := range []byte("ABCL") {
			if is, err := x.Referenced(packID(name)); err != nil || is != strings.ContainsRune(referenced, rune(name)) {
				t.Errorf("pack %c: Referenced = %v, %v", name, is, err)
			}
		}
	}
	must(t, x.Apply([]Change{upRec(st(1, 1), 1, "x"), first, first}))
	check(first, "ABL")
	must(t, x.Apply([]Change{second}))
	check(second, "CL")
	must(t, x.Apply([]Change{voidRec(st(1, 4), st(1, 3))}))
	check(first, "ABL")
	must(t, x.Apply([]Change{part(5, "A")}))
	must(t, x.DropTombstones(st(1, 6)))
	check(part(5, "A"), "AL")
	if n := rows(t, x, tableExtents); n != 1 {
		t.Errorf("%d rows of long parts, want those of the one part left", n)
	}
	must(t, x.Apply([]Change{goneRec(st(1, 6), 1)}))
	must(t, x.DropTombstones(st(1, 7)))
	for _, table := range []byte{tableExtents, tablePart, tablePast, tableRef, tableEnd, tableUpload} {
		if n := rows(t, x, table); n != 0 {
			t.Errorf("%d rows left in table %c", n, table)
		}
	}
}

// What a completed upload became is told until ForgetUploads, and longer while
// something still depends on it.
func TestCompletedUploadsAreToldUntilForgotten(t *testing.T) {
	x := fresh(t)
	told := func(want ...byte) {
		t.Helper()
		var got []byte
		for id := byte(1); id <= 3; id++ {
			if v, err := x.UploadDone(uid(id)); err == nil {
				if v.Put.Key != fmt.Sprintf("k%d", id) || v.Put.Meta["k"] != v.Put.Key || v.Put.Size != frame {
					t.Errorf("upload %d became %+v", id, v)
				}
				got = append(got, id)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("told are %v, want %v", got, want)
		}
	}
	for id := byte(1); id <= 3; id++ {
		n := uint64(id) * 10
		key := fmt.Sprintf("k%d", id)
		must(t, x.Apply([]Change{upRec(st(1, n), id, key), partRec(st(1, n+1), id, 1, "A"), doneRec(st(1, n+2), id, key, "A"), delRec(st(1, n+3), key)}))
	}
	told(1, 2, 3)
	must(t, x.ForgetUploads(1<<62)) // nothing is below the floor yet
	told(1, 2, 3)
	must(t, x.DropTombstones(st(1, 25)))
	told(1, 2, 3)
	must(t, x.ForgetUploads(22)) // Modified of the second is 22
	told(2, 3)
	must(t, x.ForgetUploads(1<<62))
	told(3)
	// The floor is above an end, but its parts are not forgotten yet: a crash
	// came between.
	must(t, x.batch(func(t *tx) error { return t.raiseFloor(st(1, 40)) }))
	must(t, x.ForgetUploads(1<<62))
	told(3)
	must(t, x.DropTombstones(st(1, 40)))
	must(t, x.ForgetUploads(1<<62))
	told()
	if n := rows(t, x, tableEnd); n != 0 {
		t.Errorf("%d ends left", n)
	}
}

// Parts whose upload can never be known any more hold packs only until then.
func TestPartsWithoutAnUploadAreForgotten(t *testing.T) {
	x := fresh(t)
	must(t, x.Apply([]Change{partRec(st(1, 3), 1, 1, "A"), partRec(st(1, 4), 1, 1, "B"), partRec(st(1, 2), 3, 1, "D"), upRec(st(1, 5), 2, "x"), partRec(st(1, 6), 2, 1, "C"), voidRec(st(1, 7), st(1, 5))}))
	must(t, x.DropTombstones(st(1, 2)))
	if is, err := x.Referenced(packID('B')); err != nil || !is {
		t.Errorf("a part whose upload may come: Referenced = %v, %v", is, err)
	}
	must(t, x.DropTombstones(st(1, 8)))
	for _, table := range []byte{tableRef, tablePart, tablePast, tableUpload, tableLoose} {
		if n := rows(t, x, table); n != 0 {
			t.Errorf("%d rows left in table %c", n, table)
		}
	}
}

// A part that comes after the end of its upload, which no committer writes, is
// without references as long as anything of the upload is left.
func TestPartsAfterTheEndHoldNothing(t *testing.T) {
	x := fresh(t)
	must(t, x.Apply([]Change{upRec(st(1, 2), 1, "x"), partRec(st(1, 3), 1, 1, "A"), goneRec(st(1, 4), 1), partRec(st(1, 5), 1, 1, "B")}))
	must(t, x.DropTombstones(st(1, 5)))
	must(t, x.Apply([]Change{partRec(st(1, 6), 1, 2, "C")}))
	if n := rows(t, x, tableRef); n != 0 {
		t.Errorf("%d references of an upload that is over", n)
	}
	must(t, x.DropTombstones(st(1, 7)))
	for _, table := range []byte{tablePart, tablePast, tableUpload, tableEnd, tableLoose} {
		if n := rows(t, x, table); n != 0 {
			t.Errorf("%d rows left in table %c", n, table)
		}
	}
}

// More loose uploads than one batch takes.
func TestDropTombstonesOfManyUploads(t *testing.T) {
	x := fresh(t)
	const n = 2*dropKeys + 7
	var h []Change
	for i := range n {
		h = append(h, begin(uint64(i+1), numbered(i), "x"), rec(st(2, uint64(i+1)), pack.UploadDone{Upload: numbered(i), Put: pack.Put{Bucket: 1, Key: "x"}}))
	}
	must(t, x.Apply(h))
	must(t, x.DropTombstones(st(3, 0)))
	if l, u, e := rows(t, x, tableLoose), rows(t, x, tableUpload), rows(t, x, tableEnd); l+u != 0 || e != n {
		t.Errorf("%d loose, %d begun, %d ended are left", l, u, e)
	}
	must(t, x.ForgetUploads(1))
	if e := rows(t, x, tableEnd); e != 0 {
		t.Errorf("%d ended are left", e)
	}
}

// Whatever bytes a row has, reading it ends, with ErrCorrupt or with what
// encodes to the same key.
func FuzzUploadRows(f *testing.F) {
	u := Upload{Stamp: st(1, 2), Upload: begin(2, uid(1), "k\x00/").Record.Body.(pack.Upload)}
	p := &partFact{partName: partName{uid(1), 7}, stamp: st(1, 3), head: encodePartHead(partRec(st(1, 3), 1, 7, "A").Record.Body.(pack.UploadPart))}
	p.where, _ = encodeWhere(partsIn(frame, "AB"), &pack.Part{})
	put := putRec(st(1, 4), "k", "A").Record.Body.(pack.Put)
	for _, row := range [][2][]byte{
		{listedKey(u), listedRow(u)},
		{uploadKey(tableUpload, u.ID, u.Stamp), begin(2, uid(1), "k\x00/").Record.AppendTo([]byte{rowCounts})},
		{uploadKey(tableEnd, u.ID, u.Stamp), endRow(true, &put)}, {uploadKey(tableEnd, u.ID, u.Stamp), endRow(false, nil)},
		{p.key(tablePart), p.row()}, {p.pastKey(), p.pastRow()},
		{refKey(packID('A'), st(1, 3)), p.appendTo(append(appendStamp(nil, p.stamp), refPart))},
	} {
		f.Add(row[0], row[1])
	}
	x := fresh(f)
	f.Fuzz(func(t *testing.T, key, row []byte) {
		if len(key) == 0 {
			return
		}
		var err error
		var again []byte
		switch key[0] {
		case tableListed:
			var u Upload
			u, err = parseListed(key, row)
			again = listedKey(u)
		case tableUpload:
			var b began
			b, err = parseBegan(key, row)
			again = uploadKey(tableUpload, b.ID, b.Stamp)
		case tableEnd:
			var e ended
			if e, err = parseEnded(key, row); err == nil && e.done {
				_, err = decodeHead(e.k, e.head)
			}
			id, s, _ := parseUploadKey(key)
			again = uploadKey(tableEnd, id, s)
		case tablePart, tablePast:
			var p *partFact
			if key[0] == tablePart {
				if p, err = parsePart(key, row); err == nil {
					again = p.key(tablePart)
				}
			} else if p, err = parsePast(key, row); err == nil {
				again = p.pastKey()
			}
			if err == nil {
				if _, err = p.read(); err == nil {
					_, err = p.packs(x.db)
				}
			}
		case tableRef:
			var r Ref
			r, err = parseRef(key, row)
			again = refKey(r.Pack, r.Stamp)
		default:
			return
		}
		if err != nil && cairn.Class(err) != cairn.ErrCorrupt || err == nil && !slices.Equal(again, key) {
			t.Fatalf("key %q, row %q: %v, encodes to %q", key, row, err, again)
		}
	})
}
