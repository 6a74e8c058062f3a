package store

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/race"
	"github.com/cairn-storage/cairn/pack"
)

// inHand counts what bodies have given and no stage has taken yet, and how many
// bodies are read at a time.
type inHand struct {
	mu           sync.Mutex
	bytes, most  int64
	bodies, wide int
}

func (h *inHand) add(n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bytes += n
	h.most = max(h.most, h.bytes)
}

// body is a reader of data that counts for h from its first byte to its end.
func (h *inHand) body(data []byte) io.Reader {
	h.mu.Lock()
	defer h.mu.Unlock()
	return &handBody{h: h, r: bytes.NewReader(data)}
}

type handBody struct {
	h     *inHand
	r     *bytes.Reader
	begun bool
}

func (b *handBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if !b.begun {
		b.begun = true
		b.h.mu.Lock()
		b.h.bodies++
		b.h.wide = max(b.h.wide, b.h.bodies)
		b.h.mu.Unlock()
	}
	b.h.add(int64(n))
	return n, err
}

// end is called when the part was answered.
func (h *inHand) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bodies--
}

// 128 parts at once, as attic sends them, over a disk whose syncs take their
// time: no more bodies are read than the memory budget has room for, whatever
// the parts' size, and no more bytes are in hand than it has. All of them are
// kept.
func TestManyPartsAtOnceStayWithinMemory(t *testing.T) {
	t.Parallel()
	const parts, bodies = 128, 10
	const budget = bodies * 2 * tinySmall
	for i, size := range []int{tinySmall + 1, tinyPack + 5} {
		if !race.Few(i, 2, 1) {
			continue
		}
		r := newRig(t, 1, func(c *Config) {
			c.Coding, c.PackSize, c.Memory, c.GroupWait = "1+0", minPack, budget, time.Millisecond
		})
		r.close()
		var h inHand
		r.fs = durable.Watch(durable.Slow(r.disk, 2*time.Millisecond), durable.Hook{After: func(s durable.Step, err error) error {
			if isPackWrite(s) && err == nil {
				h.add(-s.Len)
			}
			return err
		}})
		r.open()
		r.down(1) // what leaves this machine is another test's
		id := r.begin("x")
		all := make([][]byte, parts)
		var wg sync.WaitGroup
		for i := range parts {
			all[i] = content(uint64(i), size)
			wg.Go(func() {
				p := partPut("x", id, i+1, all[i])
				p.Body = h.body(all[i])
				if i%2 == 0 {
					p.Size = -1
				}
				if _, err := r.PutPart(t.Context(), p); err != nil {
					t.Error(err)
				}
				h.end()
			})
		}
		wg.Wait()
		if h.most > budget || h.wide > bodies {
			t.Errorf("parts of %d: %d bytes of %d bodies were in hand, the budget is %d", size, h.most, h.wide, budget)
		}
		if h.wide < bodies/2 {
			t.Errorf("parts of %d: only %d bodies came at a time", size, h.wide)
		}
		o, err := r.complete("x", id, all...)
		must(t, err)
		r.want("x", bytes.Join(all, nil))
		t.Logf("%d parts of %d: at most %d KiB of %d bodies in hand; the object has %d bytes", parts, size, h.most>>10, h.wide, o.Size)
		r.close()
	}
}

// The list of a long upload's parts is frames of its own group: it survives
// restart, release and the loss of the index, and is written anew for a copy or
// for tags. 10,000 parts of several extents each are the most.
func TestAnUploadOfManyParts(t *testing.T) {
	t.Parallel()
	sizes := []int{300, 2000}
	if os.Getenv("CAIRN_LONG") != "" {
		sizes = []int{300, MaxParts}
	}
	for i, n := range sizes {
		if race.Few(i, len(sizes), 1) {
			t.Run(fmt.Sprint(n), func(t *testing.T) { manyParts(t, n) })
		}
	}
}

func manyParts(t *testing.T, n int) {
	r := newRig(t, 2, func(c *Config) { c.Coding, c.PackSize = "1+1", 4<<20 })
	id, unit := r.partsOfOne(n)
	c := CompleteUpload{Key: keyOf("x"), Upload: id, ETag: fmt.Sprintf("all-%d", n)}
	for i := range n {
		c.Numbers = append(c.Numbers, i+1)
	}
	shown := 0
	c.Decide = func(parts []Part) (Digest, error) {
		shown = 0
		for i, p := range parts {
			if p.Number == i+1 && p.ETag == fmt.Sprint(i+1) && p.Size == int64(len(unit)) {
				shown++
			}
		}
		return Digest{}, nil
	}
	start := time.Now()
	_, err := r.CompleteUpload(t.Context(), c)
	must(t, err)
	t.Logf("completed in %v", time.Since(start))
	if shown != n {
		t.Errorf("%d parts were shown as they are", shown)
	}
	check := func(key string) {
		t.Helper()
		o, src, err := r.Open(t.Context(), keyOf(key))
		must(t, err)
		defer src.Close()
		if len(o.Parts) != n || o.Size != int64(n*len(unit)) {
			t.Fatalf("%s has %d parts, %d bytes", key, len(o.Parts), o.Size)
		}
		for _, off := range []int{0, 1, len(unit) - 10, n/2*len(unit) + 70_000, n*len(unit) - 300_000} {
			got, err := readRange(t.Context(), src, int64(off), 200_000)
			must(t, err)
			for i, b := range got {
				if b != unit[(off+i)%len(unit)] {
					t.Fatalf("byte %d of %s differs", off+i, key)
				}
			}
		}
	}
	check("x")
	if n < 1000 || os.Getenv("CAIRN_LONG") != "" { // many cost time and ask for no more
		r.crash(0, 1)
		r.open()
		check("x")
		must(t, r.Flush(t.Context()))
		r.releaseAll()
		_, err = r.Copy(t.Context(), Copy{From: keyOf("x"), To: keyOf("y")})
		must(t, err)
		must(t, r.SetTags(t.Context(), keyOf("x"), "a=b"))
		check("x")
		check("y")
		must(t, r.Flush(t.Context()))
		r.releaseAll()
		check("x")
		r.lostIndex(t)
		check("x")
		check("y")
	}
	if o, err := r.CompleteUpload(t.Context(), c); err != nil || o.ETag != c.ETag {
		t.Errorf("completed again: %+v, %v", o, err)
	}
	r.close()
}

// partsOfOne begins an upload of x and makes n parts of it, all of the same
// bytes, three extents each.
func (r *rig) partsOfOne(n int) (id string, unit []byte) {
	r.tb.Helper()
	const frames = 3
	unit = content(1, frames*pack.FrameSize)
	must(r.tb, r.put("unit", unit))
	v, err := r.version(keyOf("unit"))
	must(r.tb, err)
	part := v.Put.Parts[0]
	whole := part.Extents[0]
	part.Extents = nil
	for i := range uint32(frames) {
		part.Extents = append(part.Extents, pack.Extent{Pack: whole.Pack, Offset: whole.Offset + i*pack.SealedSize, Length: pack.FrameSize})
	}
	id = r.begin("x")
	for number := 1; number <= n; number += 500 {
		must(r.tb, r.decide(r.tb.Context(), func(t *txn) error {
			for k := number; k < min(number+500, n+1); k++ {
				rec := pack.UploadPart{Upload: mustID(r.tb, id), Number: uint16(k), Size: part.Size, ETag: fmt.Sprint(k), Parts: []pack.Part{part}}
				if err := t.log(rec); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	return id, unit
}
