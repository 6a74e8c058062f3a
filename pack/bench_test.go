package pack

import (
	"bytes"
	"io"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// fullBody is a 16 MiB log pack for 4+3.
func fullBody(b *testing.B) body {
	var sizes []int
	for n := 0; n < 16<<20-(100<<10); n += 64 << 10 {
		sizes = append(sizes, 63<<10)
	}
	return newBody(b, 1, cairn.Coding{K: 4, M: 3}, sizes...)
}

// One cipher pass and one hash pass over the data: frames are sealed in
// BenchmarkGroup's path and nowhere else, Seal itself runs the cipher over the
// padding only and hashes each of the n shards once, in lay. A CPU profile of
// this benchmark shows it: blake3 below hashBlocks alone, chacha20 below Pad
// alone. The columns that are decoded again are 64 bytes a shard.
func BenchmarkSeal(b *testing.B) {
	x := fullBody(b)
	code := mustCode(b, x.params.Coding)
	b.SetBytes(int64(len(x.bytes)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Seal(code, x.key, x.params, x.bytes, x.contents, testSign(), 99); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReseal(b *testing.B) {
	x := fullBody(b)
	code := mustCode(b, x.params.Coding)
	s := x.seal(b)
	b.SetBytes(int64(len(x.bytes)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Reseal(code, x.key, s.Trailer, x.bytes, x.contents); err != nil {
			b.Fatal(err)
		}
	}
}

// The parts of a seal, to compare their sum with the whole.
func BenchmarkEncode(b *testing.B) {
	x := fullBody(b)
	code := mustCode(b, x.params.Coding)
	shards := make([][]byte, 7)
	for i := range shards {
		shards[i] = newSource(uint64(i)).bytes(int(x.params.Length))
	}
	b.SetBytes(int64(len(x.bytes)))
	for b.Loop() {
		if err := code.Encode(shards); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHashSevenShards(b *testing.B) {
	shard := newSource(1).bytes(4 << 20)
	b.SetBytes(16 << 20)
	for b.Loop() {
		for range 7 {
			hashBlocks(shard)
		}
	}
}

// groupOf is sixteen objects of 64 KiB less a little, one frame each.
func groupOf(key *crypt.PackKey, id cairn.PackID, plain, buf []byte) ([]byte, Link) {
	g := NewGroup(key, id, 0, Link{}, buf)
	for i := range 16 {
		p := Part{ID: crypt.ContentID{byte(i)}, Size: uint64(len(plain))}
		p.Extents = []Extent{g.Frames(p.ID, 0, plain, true)}
		g.Add(Record{Stamp: cairn.Stamp{LSN: uint64(i + 1)}, Body: Put{Bucket: 1, Key: "nar/x.nar", Size: p.Size, Parts: []Part{p}}})
	}
	return g.Finish()
}

func BenchmarkGroup(b *testing.B) {
	id := cairn.PackID{1}
	key := crypt.EpochKey{1}.Pack(id, crypt.NoncePrefix{})
	plain, buf := newSource(1).bytes(63<<10), make([]byte, 2<<20)
	b.SetBytes(16 * 63 << 10)
	b.ReportAllocs()
	for b.Loop() {
		groupOf(key, id, plain, buf)
	}
}

// Replay: one cipher pass, since every frame that a record names is opened.
func BenchmarkOpenGroup(b *testing.B) {
	id := cairn.PackID{1}
	key := crypt.EpochKey{1}.Pack(id, crypt.NoncePrefix{})
	group, _ := groupOf(key, id, newSource(1).bytes(63<<10), nil)
	b.SetBytes(int64(len(group)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := open(key, id, group, 0); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSealContents(b *testing.B) {
	key := crypt.EpochKey{1}.Pack(cairn.PackID{1}, crypt.NoncePrefix{})
	c := Contents{Kind: Log, Records: atticRecords(300)}
	p := Params{Coding: cairn.Coding{K: 4, M: 3}}
	b.SetBytes(int64(len(c.Encode())))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Seal(key, p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenContents(b *testing.B) {
	key := crypt.EpochKey{1}.Pack(cairn.PackID{1}, crypt.NoncePrefix{})
	c := Contents{Kind: Log, Records: atticRecords(300)}
	p := Params{Coding: cairn.Coding{K: 4, M: 3}}
	sealed, err := c.Seal(key, p)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(c.Encode())))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := OpenContents(key, p, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenTail(b *testing.B) {
	x := fullBody(b)
	f := x.seal(b).Files[2]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := OpenTail(f[x.params.TailOffset():], x.params, 2, testTrust()); err != nil {
			b.Fatal(err)
		}
	}
}

// benchRows are rows of 100,000 objects as a Nix cache makes them.
func benchRows(b *testing.B) (rows []Row, n int64) {
	b.Helper()
	rows = someRows(100_000, 1, false)
	for i, r := range atticRecords(1000) {
		for j := i; j < len(rows); j += 1000 {
			rows[j].Value = r.AppendTo(nil)
		}
	}
	for _, r := range rows {
		n += int64(len(r.Key) + len(r.Value))
	}
	return rows, n
}

func BenchmarkRunWriter(b *testing.B) {
	rows, n := benchRows(b)
	b.SetBytes(n)
	b.ReportAllocs()
	for b.Loop() {
		w, err := NewRunWriter(io.Discard, fullHead())
		for i := 0; err == nil && i < len(rows); i++ {
			err = w.Add(rows[i])
		}
		if err != nil || w.Close() != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRunReader(b *testing.B) {
	rows, n := benchRows(b)
	stream := writeRun(b, fullHead(), rows)
	b.SetBytes(n)
	b.ReportAllocs()
	for b.Loop() {
		r, err := NewRunReader(bytes.NewReader(stream))
		for err == nil {
			_, err = r.Next()
		}
		if err != io.EOF {
			b.Fatal(err)
		}
	}
}

func BenchmarkMergeRuns(b *testing.B) {
	rows, n := benchRows(b)
	older, newer := writeRun(b, fullHead(), rows), writeRun(b, laterHead(), rows[:len(rows)/2])
	b.SetBytes(n + n/2)
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range MergeRuns(openRun(b, older), openRun(b, newer)) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
