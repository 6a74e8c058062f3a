package integration

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"sync"
)

// sizes is the distribution of attic's stored chunks: a bucket in KiB and its
// share of the objects in percent. Within a bucket sizes are log-uniform.
var sizes = []struct{ from, to, percent float64 }{
	{0.02, 1, 0.10}, {1, 2, 0.35}, {2, 4, 2.52}, {4, 8, 10.28}, {8, 12, 13.61}, {12, 16, 13.03},
	{16, 24, 20.81}, {24, 32, 12.99}, {32, 48, 13.71}, {48, 64, 6.35}, {64, 96, 4.31}, {96, 128, 1.31},
	{128, 192, 0.52}, {192, 256, 0.08},
}

// Objects makes up objects: what number i is depends on the seed and i only,
// so every byte that comes back can be compared with what was written.
type Objects struct{ Seed uint64 }

// Key is <uuid v4>.chunk in the root of the bucket.
func (o Objects) Key(i int) string {
	r := o.rand(i)
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], r.Uint64())
	binary.BigEndian.PutUint64(id[8:], r.Uint64())
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x.chunk", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// Size is drawn from the distribution above.
func (o Objects) Size(i int) int {
	r := o.rand(i)
	r.Uint64()
	r.Uint64()
	draw := r.Float64() * 100
	b := sizes[len(sizes)-1]
	for _, s := range sizes {
		if draw < s.percent {
			b = s
			break
		}
		draw -= s.percent
	}
	return int(1024 * math.Exp(math.Log(b.from)+r.Float64()*(math.Log(b.to)-math.Log(b.from))))
}

// Body is the content: incompressible, and like no other object's.
func (o Objects) Body(i int) []byte { return o.Version(i, 0, o.Size(i)) }

// Version is size bytes of the v-th content of object i.
func (o Objects) Version(i, v, size int) []byte {
	body := make([]byte, size)
	o.stream(i, v).XORKeyStream(body, body)
	return body
}

// Reader is an endless content of object i.
func (o Objects) Reader(i int) io.Reader {
	return cipher.StreamReader{S: o.stream(i, 0), R: zeros{}}
}

func (o Objects) stream(i, v int) cipher.Stream {
	var key, iv [16]byte
	binary.BigEndian.PutUint64(key[:], o.Seed)
	binary.BigEndian.PutUint32(iv[:], uint32(i))
	binary.BigEndian.PutUint32(iv[4:], uint32(v))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("integration: " + err.Error()) // unreachable: the key size is fixed
	}
	return cipher.NewCTR(block, iv[:])
}

func (o Objects) rand(i int) *rand.Rand { return rand.New(rand.NewPCG(o.Seed, uint64(i))) }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Check reads object i and compares every byte. A *WrongBytes error is the one
// that no state of the nodes excuses.
func (o Objects) Check(ctx context.Context, c *Client, i int) error {
	got, err := c.Get(ctx, o.Key(i))
	if err != nil {
		return err
	}
	return compare(o.Key(i), got, o.Body(i))
}

func compare(key string, got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	return &WrongBytes{key, fmt.Sprintf("%d bytes, want %d; they differ from byte %d on", len(got), len(want), at)}
}

// Each calls do for 0..n-1, width at a time in order, and returns how often
// each HTTP status came (0: no answer) and the errors, without those that
// allow expects. It stops early only when ctx ends.
func Each(ctx context.Context, n, width int, do func(ctx context.Context, i int) error, allow ...int) (map[int]int, []error) {
	var (
		mu     sync.Mutex
		counts = map[int]int{} // guarded by mu
		errs   []error         // guarded by mu
		wg     sync.WaitGroup
		next   = make(chan int)
	)
	for range width {
		wg.Go(func() {
			for i := range next {
				err := do(ctx, i)
				mu.Lock()
				status := Status(err)
				counts[status]++
				if err != nil && !contains(allow, status) {
					errs = append(errs, fmt.Errorf("object %d: %w", i, err))
				}
				mu.Unlock()
			}
		})
	}
	for i := range n {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	wg.Wait()
	if err := ctx.Err(); err != nil {
		errs = append(errs, err)
	}
	return counts, errs
}

func contains(list []int, v int) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}

// chunksPerNAR is the mean of attic's chunks in one NAR of 64 KiB or more.
const chunksPerNAR = 104

// ReadNARs reads objects 0..n-1 as attic does: runs of objects that were
// written one after the other, each run with two GETs in flight, and readers
// runs at a time. expect says what must come of object i.
func ReadNARs(ctx context.Context, n, readers int, expect func(ctx context.Context, i int) error) []error {
	nars := (n + chunksPerNAR - 1) / chunksPerNAR
	_, errs := Each(ctx, nars, readers, func(ctx context.Context, nar int) error {
		first := nar * chunksPerNAR
		_, errs := Each(ctx, min(chunksPerNAR, n-first), 2, func(ctx context.Context, j int) error { return expect(ctx, first+j) })
		if len(errs) > 0 {
			return fmt.Errorf("NAR %d: %d of its objects failed, the first: %w", nar, len(errs), errs[0])
		}
		return nil
	})
	return errs
}
