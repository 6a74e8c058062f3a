package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// oneGroup is a group of three small objects and a few records at offset off.
func oneGroup(t testing.TB, off uint64) (key *crypt.PackKey, id cairn.PackID, b []byte, recs []Record, next Link) {
	t.Helper()
	id = cairn.NewPackID(7, [10]byte{1})
	key = crypt.EpochKey{1}.Pack(id, crypt.NoncePrefix{2})
	s := newSource(off)
	g := NewGroup(key, id, off, Link{9}, nil)
	for i, n := range []int{100, 1, 700} {
		p := Part{ID: crypt.ContentID(s.bytes(16)), Size: uint64(n)}
		p.Extents = []Extent{g.Frames(p.ID, 0, s.bytes(n), true)}
		recs = append(recs, Record{Stamp: cairn.Stamp{Life: 2, LSN: uint64(50 + i)}, Body: Put{Bucket: 1, Key: fmt.Sprintf("k%d", i), Size: p.Size, Parts: []Part{p}}})
	}
	list := Part{ID: crypt.ContentID(s.bytes(16)), Size: 90}
	list.Extents = []Extent{g.Frames(list.ID, 0, s.bytes(90), true)}
	recs = append(recs,
		Record{Stamp: cairn.Stamp{Life: 2, LSN: 53}, Body: Move{Bucket: 1, Key: "m", Of: cairn.Stamp{Life: 1, LSN: 1}, List: &list}},
		Record{Stamp: cairn.Stamp{Life: 2, LSN: 54}, Body: Delete{Bucket: 1, Key: "k0"}})
	for _, r := range recs {
		g.Add(r)
	}
	size, count, encoded := g.Size(), g.Count(), g.Records()
	b, next = g.Finish()
	if len(b) != size || count != len(recs) || encoded == 0 || len(b)%GroupAlign != 0 || len(b) < MinGroup {
		t.Fatalf("group of %d bytes, said %d, %d records", len(b), size, count)
	}
	return key, id, clone(b), recs, next
}

// open is what replay does with the bytes at off: nothing of the lengths it
// reads is believed before it is opened.
func open(key *crypt.PackKey, id cairn.PackID, b []byte, off uint64) ([]Record, Head, Link, error) {
	if len(b) < HeadSize {
		return nil, Head{}, Link{}, cairn.ErrCorrupt
	}
	h, err := OpenHead(key, b[:HeadSize], off)
	if err != nil {
		return nil, h, Link{}, err
	}
	recs, next, err := OpenGroup(key, id, b[:min(len(b), int(h.Length))], off, h)
	return recs, h, next, err
}

func TestAGroupIsReadAsItWasWritten(t *testing.T) {
	for _, off := range []uint64{0, 64, 1 << 24} {
		key, id, b, want, next := oneGroup(t, off)
		recs, h, link, err := open(key, id, b, off)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(recs, want) || link != next || h.Prev != (Link{9}) || h.First != want[0].Stamp || int(h.Count) != len(want) || int(h.Length) != len(b) {
			t.Errorf("at %d: head %+v, %d records, link %x", off, h, len(recs), link)
		}
	}
}

func TestGroupsChain(t *testing.T) {
	b := newBody(t, 1, cairn.Coding{K: 1, M: 1}, 10, 20, 30, 40, 50, 60, 70)
	link, off, groups := FirstLink(b.params.ID), 0, 0
	var all []Record
	for off < len(b.bytes) {
		recs, h, next, err := open(b.key, b.params.ID, b.bytes[off:], uint64(off))
		if err != nil {
			t.Fatal(err)
		}
		if h.Prev != link {
			t.Fatalf("group at %d links to %x, want %x", off, h.Prev, link)
		}
		all = append(all, recs...)
		off, link, groups = off+int(h.Length), next, groups+1
	}
	if groups != 3 || !reflect.DeepEqual(all, b.table.Records) {
		t.Errorf("%d groups, %d records", groups, len(all))
	}
}

func TestAGroupWithoutRecordsOrFrames(t *testing.T) {
	key := crypt.EpochKey{1}.Pack(cairn.PackID{1}, crypt.NoncePrefix{})
	g := NewGroup(key, cairn.PackID{1}, 0, Link{}, nil)
	if e := g.Frames(crypt.ContentID{}, 0, nil, true); !reflect.DeepEqual(e, Extent{}) {
		t.Errorf("frames of nothing lie at %+v", e)
	}
	b, _ := g.Finish()
	recs, h, _, err := open(key, cairn.PackID{1}, b, 0)
	if err != nil || len(recs) != 0 || len(b) != MinGroup || h.Count != 0 {
		t.Errorf("%d bytes, %d records, %v", len(b), len(recs), err)
	}
}

func TestLargeContentsOpenByFrames(t *testing.T) {
	key, id := crypt.EpochKey{1}.Pack(cairn.PackID{1}, crypt.NoncePrefix{}), cairn.PackID{1}
	plain := newSource(3).bytes(2*FrameSize + 77)
	g := NewGroup(key, id, 128, Link{}, make([]byte, 5, 1<<20))
	c := crypt.ContentID{4}
	// A content may begin in an earlier call, and go on in the next one.
	one := g.Frames(c, 0, plain[:FrameSize], false)
	two := g.Frames(c, 1, plain[FrameSize:], true)
	whole := Part{ID: c, Size: uint64(len(plain)), Extents: []Extent{one, two}}
	g.Add(Record{Stamp: cairn.Stamp{LSN: 1}, Body: Put{Bucket: 1, Key: "k", Size: whole.Size, Parts: []Part{whole}}})
	b, _ := g.Finish()
	if _, _, _, err := open(key, id, b, 128); err != nil {
		t.Fatal(err)
	}
	if two.Offset != one.Offset+SealedSize {
		t.Errorf("frames at %d and %d", one.Offset, two.Offset)
	}
	at := int(two.Offset) - 128
	got, err := key.OpenFrame(nil, b[at:at+SealedSize], uint64(two.Offset), c, 1, false)
	if err != nil || !bytes.Equal(got, plain[FrameSize:2*FrameSize]) {
		t.Errorf("frame 1: %v", err)
	}
}

// B4 H1: power is lost while a group is written: its end, or any sector of it,
// is not there.
func TestHazardB4ATornGroupIsNoticed(t *testing.T) {
	key, id, b, _, _ := oneGroup(t, 192)
	stale := newSource(8).bytes(len(b))
	for cut := range b {
		for name, torn := range map[string][]byte{
			"shorter":          b[:cut],
			"zeros follow":     append(clone(b[:cut]), make([]byte, len(b)-cut)...),
			"old bytes follow": append(clone(b[:cut]), stale[cut:]...),
		} {
			if bytes.Equal(torn, b) {
				continue // the missing bytes happen to be what was there
			}
			if _, _, _, err := open(key, id, torn, 192); !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("torn at %d of %d, %s: %v", cut, len(b), name, err)
			}
		}
	}
	for at := 0; at < len(b); at += 64 {
		torn := clone(b)
		clear(torn[at : at+64])
		if _, _, _, err := open(key, id, torn, 192); !errors.Is(err, cairn.ErrCorrupt) {
			t.Fatalf("64 bytes at %d not written: %v", at, err)
		}
	}
}

func TestEveryFlippedByteOfAGroupIsNoticed(t *testing.T) {
	key, id, b, _, _ := oneGroup(t, 0)
	for i := range b {
		flipped := clone(b)
		flipped[i] ^= 0x80
		if _, _, _, err := open(key, id, flipped, 0); !errors.Is(err, cairn.ErrCorrupt) {
			t.Fatalf("byte %d flipped: %v", i, err)
		}
	}
}

func TestAGroupOpensOnlyInItsPlace(t *testing.T) {
	key, id, b, _, _ := oneGroup(t, 64)
	for name, c := range map[string]struct {
		key *crypt.PackKey
		off uint64
	}{
		"another offset": {key, 128},
		"another pack":   {crypt.EpochKey{1}.Pack(cairn.NewPackID(7, [10]byte{2}), crypt.NoncePrefix{2}), 64},
		"another life":   {crypt.EpochKey{1}.Pack(id, crypt.NoncePrefix{3}), 64},
	} {
		if _, _, _, err := open(c.key, id, b, c.off); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Records are bound to their head: the same ones behind a head that chains
	// to another group do not open.
	group := func(prev Link) []byte {
		g := NewGroup(key, id, 64, prev, nil)
		g.Add(Record{Stamp: cairn.Stamp{LSN: 1}, Body: Delete{Bucket: 1, Key: "k"}})
		b, _ := g.Finish()
		return b
	}
	one, two := group(Link{1}), group(Link{2})
	mixed := append(clone(one[:HeadSize]), two[HeadSize:]...)
	if _, _, _, err := open(key, id, mixed, 64); !errors.Is(err, cairn.ErrCorrupt) {
		t.Errorf("the head of one and the records of another: %v", err)
	}
}

// A record that names frames which do not lie where it says, or that would lie
// behind the group, does not pass.
func TestARecordThatNamesOtherFramesDoesNotPass(t *testing.T) {
	id := cairn.PackID{1}
	key := crypt.EpochKey{1}.Pack(id, crypt.NoncePrefix{})
	const off = 1024
	for _, c := range []struct {
		name   string
		change func(p *Part)
		want   error
	}{
		{"its own", func(*Part) {}, nil},
		{"a frame of an earlier group", func(p *Part) { p.Extents[0].Offset = 64 }, nil},
		{"a frame of another pack", func(p *Part) { p.Extents[0].Pack[3]++ }, nil},
		{"the head", func(p *Part) { p.Extents[0].Offset = off }, cairn.ErrCorrupt},
		{"a byte further", func(p *Part) { p.Extents[0].Offset++ }, cairn.ErrCorrupt},
		{"another length", func(p *Part) { p.Extents[0].Length--; p.Size-- }, cairn.ErrCorrupt},
		{"another content", func(p *Part) { p.ID[0]++ }, cairn.ErrCorrupt},
		{"the records", func(p *Part) { p.Extents[0].Offset += 516 }, cairn.ErrCorrupt},
		{"behind the group", func(p *Part) { p.Extents[0].Offset += 1 << 20 }, cairn.ErrCorrupt},
		{"far behind", func(p *Part) { p.Extents[0].Offset = 1<<32 - 1 }, cairn.ErrCorrupt},
		{"a frame that is not the last", func(p *Part) {
			p.Extents = append(p.Extents, Extent{Pack: cairn.PackID{9}, Length: 5})
			p.Extents[0].Length, p.Size = FrameSize, FrameSize+5
		}, cairn.ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, list := range []bool{false, true} {
				g := NewGroup(key, id, off, Link{}, nil)
				p := Part{ID: crypt.ContentID{7}, Size: 500}
				p.Extents = []Extent{g.Frames(p.ID, 0, newSource(1).bytes(500), true)}
				c.change(&p)
				put := Put{Bucket: 1, Key: "k", Size: p.Size, Parts: []Part{p}}
				if list {
					put.Parts, put.List = nil, &p
				}
				g.Add(Record{Stamp: cairn.Stamp{LSN: 1}, Body: put})
				b, _ := g.Finish()
				if _, _, _, err := open(key, id, b, off); !errors.Is(err, c.want) {
					t.Errorf("list %v: got %v, want %v", list, err, c.want)
				}
			}
		})
	}
}

// B16: any error of the index gives a loud failure, never another object's
// bytes.
func TestHazardB16FrameOfAnotherContent(t *testing.T) {
	id := cairn.PackID{1}
	key := crypt.EpochKey{1}.Pack(id, crypt.NoncePrefix{})
	s := newSource(5)
	x, y := s.bytes(FrameSize+10), s.bytes(FrameSize+10)
	xid, yid := crypt.ContentID{1}, crypt.ContentID{2}
	var b []byte
	b = SealFrames(b, key, 0, xid, 0, x, true)
	second := len(b)
	b = SealFrames(b, key, 0, yid, 0, y, true)
	part := func(c crypt.ContentID) Part { return Part{ID: c, Size: FrameSize + 10} }
	whole := func(off int) Extent { return Extent{Pack: id, Offset: uint32(off), Length: FrameSize + 10} }
	for _, c := range []struct {
		name  string
		part  Part
		at    Extent
		first uint64
		want  error
	}{
		{"as written", part(xid), whole(0), 0, nil},
		{"the other as written", part(yid), whole(second), 0, nil},
		{"an index that swaps two objects", part(xid), whole(second), 0, cairn.ErrCorrupt},
		{"frames counted from one", part(xid), whole(0), 1, cairn.ErrCorrupt},
		{"the second frame as the first", part(xid), Extent{Pack: id, Offset: SealedSize, Length: 10}, 0, cairn.ErrCorrupt},
		{"the second frame as the second", part(xid), Extent{Pack: id, Offset: SealedSize, Length: 10}, 1, nil},
		{"an object that goes on", Part{ID: xid, Size: 3 * FrameSize}, whole(0), 0, cairn.ErrCorrupt},
		{"an object that ends sooner", Part{ID: xid, Size: FrameSize}, Extent{Pack: id, Length: FrameSize}, 0, cairn.ErrCorrupt},
		{"a stale offset", part(xid), whole(16), 0, cairn.ErrCorrupt},
		{"past the end", part(yid), whole(len(b)), 0, cairn.ErrCorrupt},
	} {
		if err := CheckExtent(key, b, 0, c.part, c.at, c.first, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestAHeadThatContradictsItselfIsRefused(t *testing.T) {
	key := crypt.EpochKey{1}.Pack(cairn.PackID{1}, crypt.NoncePrefix{})
	sound := Head{Length: 192, Records: 64, Count: 1, First: cairn.Stamp{Life: 1, LSN: 2}, Prev: Link{3}}
	seal := func(b []byte) []byte { return key.Seal(nil, b, crypt.DomainHead, 64, nil) }
	if h, err := OpenHead(key, seal(sound.plain()), 64); err != nil || h != sound {
		t.Fatalf("%+v, %v", h, err)
	}
	for name, change := range map[string]func(b []byte){
		"another version":   func(b []byte) { b[0] = 2 },
		"reserved bytes":    func(b []byte) { b[3] = 1 },
		"reserved at end":   func(b []byte) { b[47] = 1 },
		"not aligned":       func(b []byte) { binary.BigEndian.PutUint32(b[4:], 193) },
		"records too large": func(b []byte) { binary.BigEndian.PutUint32(b[8:], 129) },
		"records too small": func(b []byte) { binary.BigEndian.PutUint32(b[8:], 15) },
		"records that wrap": func(b []byte) { binary.BigEndian.PutUint32(b[8:], 1<<32-1) },
		"no length":         func(b []byte) { binary.BigEndian.PutUint32(b[4:], 0) },
	} {
		b := sound.plain()
		change(b)
		if h, err := OpenHead(key, seal(b), 64); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
	for _, n := range []int{0, HeadSize - 1, HeadSize + 1} {
		if _, err := OpenHead(key, make([]byte, n), 0); !errors.Is(err, cairn.ErrCorrupt) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func FuzzOpenHead(f *testing.F) {
	key := crypt.EpochKey{1}.Pack(cairn.PackID{1}, crypt.NoncePrefix{})
	f.Add(Head{Length: 192, Records: 64, Count: 1, Prev: Link{3}}.plain())
	f.Add(make([]byte, 48))
	// The bytes are tried as they are, and sealed, so that the fuzzer gets past
	// the cipher.
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := OpenHead(key, b, 0); err == nil {
			t.Fatal("a head out of nothing")
		}
		h, err := OpenHead(key, key.Seal(nil, b, crypt.DomainHead, 64, nil), 64)
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		if again := h.plain(); !bytes.Equal(again, b) {
			t.Fatalf("two spellings: %x and %x", b, again)
		}
	})
}

func FuzzOpenGroup(f *testing.F) {
	id := cairn.PackID{1}
	key := crypt.EpochKey{1}.Pack(id, crypt.NoncePrefix{})
	const off = 640
	var all []byte
	for _, r := range allRecords() {
		all = r.AppendTo(all)
	}
	f.Add([]byte("frames"), all, uint32(len(allRecords())), uint32(0))
	f.Add([]byte{}, []byte{}, uint32(0), uint32(0))
	f.Add([]byte{}, []byte{0}, uint32(1<<31), uint32(64))
	// Arbitrary bytes where frames lie, arbitrary bytes as the records, and a
	// head that counts as the fuzzer likes: sealed as a key holder would.
	f.Fuzz(func(t *testing.T, frames, recs []byte, count, more uint32) {
		framed := HeadSize + len(frames)
		size := groupSize(framed, len(recs)) + int(more%5)*GroupAlign
		h := Head{Length: uint32(size), Records: uint32(size - framed), Count: count, Prev: Link{1}}
		if r, err := firstRecord(recs); err == nil && count > 0 {
			h.First = r
		}
		head := key.Seal(nil, h.plain(), crypt.DomainHead, off, nil)
		b := append(clone(head), frames...)
		plain := append(clone(recs), make([]byte, size-framed-crypt.Overhead-len(recs))...)
		b = key.Seal(b, plain, crypt.DomainRecords, off+uint64(framed), head)
		got, got2, link, err := open(key, id, b, off)
		if err != nil {
			if !errors.Is(err, cairn.ErrCorrupt) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		g := NewGroup(key, id, off, got2.Prev, nil)
		g.b = append(g.b, frames...)
		for _, r := range got {
			g.Add(r)
		}
		again, next := g.Finish()
		if !bytes.Equal(again, b) || next != link {
			t.Fatalf("two spellings: %x and %x", b, again)
		}
	})
}

// firstRecord is the stamp of the record that recs begin with.
func firstRecord(recs []byte) (s cairn.Stamp, err error) {
	if len(recs) < minRecord {
		return s, cairn.ErrCorrupt
	}
	return cairn.Stamp{Life: binary.BigEndian.Uint32(recs[2:]), LSN: binary.BigEndian.Uint64(recs[6:])}, nil
}
