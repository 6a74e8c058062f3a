package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// nothingLeft fails where anything of a body that was refused is left: a stage,
// a shard, memory, a place in the books.
func (r *rig) nothingLeft(t *testing.T, what string) {
	t.Helper()
	r.pass(soon)
	r.mu.Lock()
	for id, p := range r.packs {
		if p.file.Kind == pack.Data {
			t.Errorf("%s: stage %v is left in phase %d, dropped %v, busy %v, %v", what, id, p.phase, p.drop, p.busy, p.why)
		}
	}
	r.mu.Unlock()
	r.balanced()
	for _, id := range stageFiles(t, r.fs) {
		r.mu.Lock()
		if r.packs[id] == nil {
			t.Errorf("%s: the file of stage %v is left", what, id)
		}
		r.mu.Unlock()
	}
	for row, err := range r.idx.Packs(cairn.PackID{}) {
		must(t, err)
		is, err := r.idx.Referenced(row.Params.ID)
		must(t, err)
		if row.Kind == pack.Data && !is && row.State.String() == "spread" {
			t.Errorf("%s: nothing refers to pack %v, which counts as spread", what, row.Params.ID)
		}
	}
	if !r.mem.TryAcquire(r.c.Memory) {
		t.Errorf("%s: memory is still held", what)
	} else {
		r.mem.Release(r.c.Memory)
	}
	if n := r.com.inflight.Load(); n != 0 {
		t.Errorf("%s: %d writes count as in flight", what, n)
	}
}

var errBody = errors.New("the client is gone")

// A body that fails, is cut short, longer or shorter than announced, or whose
// digest does not fit, stores nothing and leaves nothing, wherever it happens.
func TestABodyThatFailsLeavesNothing(t *testing.T) {
	sizes := []int{0, 1, tinySmall - 1, tinySmall, tinySmall + 1, 2 * tinySmall, tinyPack - 1, tinyPack, tinyPack + 1, 2*tinyPack + 5}
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		for _, n := range sizes {
			data := content(uint64(n), n)
			fails := func(err error) io.Reader { return io.MultiReader(bytes.NewReader(data), failing{err}) }
			cases := map[string]struct {
				p     Put
				class error
			}{
				"fails at its end":          {Put{Body: fails(errBody), Size: int64(n)}, cairn.ErrInvalid},
				"fails, unknown length":     {Put{Body: fails(errBody), Size: -1}, cairn.ErrInvalid},
				"cut short, unknown length": {Put{Body: fails(io.ErrUnexpectedEOF), Size: -1}, cairn.ErrInvalid},
				"fails with a class":        {Put{Body: fails(cairn.ErrDenied), Size: -1}, cairn.ErrDenied},
				"shorter than announced":    {Put{Body: bytes.NewReader(data), Size: int64(n) + 1}, cairn.ErrInvalid},
				"much shorter":              {Put{Body: bytes.NewReader(data), Size: int64(n) + tinyPack}, cairn.ErrInvalid},
				"longer than announced":     {Put{Body: bytes.NewReader(append(data, 1)), Size: int64(n)}, cairn.ErrInvalid},
				"much longer":               {Put{Body: bytes.NewReader(append(data, data...)), Size: int64(n)}, cairn.ErrInvalid},
				"its digest is wrong": {Put{Body: bytes.NewReader(data), Size: int64(n), Digest: func() (Digest, error) {
					return Digest{}, cairn.ErrInvalid
				}}, cairn.ErrInvalid},
				"refused by a condition": {Put{Body: bytes.NewReader(data), Size: -1, If: Condition{Match: []string{"*"}}}, cairn.ErrNotExist},
				"headers too long":       {Put{Body: bytes.NewReader(data), Size: -1, Meta: map[string]string{"m": string(make([]byte, 9000))}}, cairn.ErrInvalid},
			}
			for what, c := range cases {
				if what == "much longer" && n == 0 {
					continue
				}
				what = fmt.Sprintf("%d bytes, %s", n, what)
				c.p.Key = keyOf("x")
				if _, err := r.Put(t.Context(), c.p); !errors.Is(err, c.class) {
					t.Errorf("%s: %v", what, err)
				}
				r.wantErr("x", cairn.ErrNotExist)
			}
			r.nothingLeft(t, fmt.Sprint(n, " bytes"))
		}
		r.reopen()
		r.wantErr("x", cairn.ErrNotExist)
		r.nothingLeft(t, "after a restart")
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A context that ends while a body comes, or while the write waits for its
// turn, ends the write and leaves nothing.
func TestACancelledPutLeavesNothing(t *testing.T) {
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		for _, n := range []int{100, tinyPack + 100, 2*tinyPack + 100} {
			ctx, cancel := context.WithCancel(t.Context())
			body := io.MultiReader(bytes.NewReader(content(1, n)), calling{cancel}, bytes.NewReader(content(2, tinyPack)))
			_, err := r.Put(ctx, Put{Key: keyOf("x"), Body: body, Size: -1})
			if !errors.Is(err, context.Canceled) && !errors.Is(err, cairn.ErrUnavailable) {
				t.Errorf("%d bytes: %v", n, err)
			}
			r.wantErr("x", cairn.ErrNotExist)
			r.nothingLeft(t, fmt.Sprint("cancelled after ", n))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.Delete(ctx, keyOf("x"), Condition{}); err == nil {
			t.Error("a delete whose context has ended works")
		}
	})
}

// calling is a reader that does something when it is reached.
type calling struct{ f func() }

func (c calling) Read([]byte) (int, error) { c.f(); return 0, io.EOF }

// Bodies wait for memory before they are read, so that any number at a time
// stays within the budget; one that is larger than all of it comes alone.
func TestMemoryOfBodiesIsBounded(t *testing.T) {
	const budget = 2 * tinySmall
	simulated(t, 3, func(c *Config) { c.Coding, c.Memory = "1+1", budget }, func(t *testing.T, r *rig) {
		for _, size := range []int64{-1, tinyPack * 2, tinySmall, 1000} {
			var ups []*upload
			for i := range 12 {
				ups = append(ups, r.upload(fmt.Sprint("k", i), size))
			}
			var mu sync.Mutex
			taken := 0 // bodies that somebody reads
			var wg sync.WaitGroup
			for _, u := range ups {
				wg.Go(func() {
					u.give([]byte{1})
					mu.Lock()
					taken++
					mu.Unlock()
				})
			}
			r.pass(0)
			mu.Lock()
			most := taken
			mu.Unlock()
			if each := min(max(size, 0)+4096, 2*tinySmall); size < 0 && most != 1 || size > 0 && int64(most) != min(12, max(1, budget/each)) {
				t.Errorf("size %d: %d bodies are read at a time", size, most)
			}
			for _, u := range ups {
				u.w.CloseWithError(errBody)
			}
			wg.Wait()
			for _, u := range ups {
				if err := <-u.done; err == nil {
					t.Error("a body that failed was stored")
				}
			}
			r.nothingLeft(t, fmt.Sprint("size ", size))
		}
	})
}

// However large a body is, only so much of it is in memory: what is read and
// not yet written never passes two small objects and a buffer.
func TestALargeBodyIsWrittenAsItComes(t *testing.T) {
	simulated(t, 1, coded("1+0"), func(t *testing.T, r *rig) {
		r.down(1)
		const size = 12*tinyPack + 77
		body := &counted{r: bytes.NewReader(content(1, size))}
		var most atomic.Int64
		var wrote atomic.Int64
		r.watch(durable.Hook{Before: func(s durable.Step) error {
			if isPackWrite(s) {
				most.Store(max(most.Load(), body.n.Load()-wrote.Load()))
				wrote.Add(s.Len)
			}
			return nil
		}})
		_, err := r.Put(t.Context(), Put{Key: keyOf("x"), Body: body, Size: size})
		must(t, err)
		if n := most.Load(); n > 2*tinySmall+64<<10 {
			t.Errorf("%d bytes were read and not written", n)
		}
		if wrote.Load() < size {
			t.Fatalf("%d bytes were written, this test saw nothing", wrote.Load())
		}
		r.want("x", content(1, size))
	})
}

type counted struct {
	r io.Reader
	n atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}
