package sim_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/race"
	"github.com/cairn-storage/cairn/store"
)

// TestTurnsOfAColdRead: SDKs give up a body that stands still for five seconds,
// and clients of a cache wait for each first byte. Nothing but the line takes
// time here, so times are exact numbers of turns.
func TestTurnsOfAColdRead(t *testing.T) {
	const size = 32 << 20 // three packs: two that it fills, and its tail in a log pack
	key := cairn.Key{Bucket: "bbb", Object: "o"}
	body := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(body)
	for i, c := range []struct {
		name  string
		turn  time.Duration
		pace  int     // bytes that the client takes each turn; 0 takes all at once
		gap   float64 // turns of silence within the body, at most
		opens int     // of files on all nodes, at most; 0 does not matter
	}{
		// 8 shards, each on the two channels for bulk.
		{"a client faster than the line", 100 * time.Millisecond, 0, 2, 16},
		{"a client slower than the line", 100 * time.Millisecond, 1 << 20, 0, 16},
		// Every read is late, so the budget of hedges is spent, too.
		{"all nodes are very late", 2 * time.Second, 0, 2, 0},
	} {
		if !race.Few(i, 3, 1) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFar(t, 7)
				sum := md5.Sum(body)
				_, err := f.store.Put(t.Context(), store.Put{Key: key, Body: bytes.NewReader(body), Size: size,
					Digest: func() (store.Digest, error) { return store.Digest{ETag: hex.EncodeToString(sum[:])}, nil }})
				must(t, err)
				must(t, f.store.Flush(t.Context()))
				f.rest(time.Minute)
				f.close()
				f.open() // nothing is cached, and all nodes are connected
				f.asked()
				f.setTurn(c.turn)

				_, src, err := f.store.Open(t.Context(), key)
				must(t, err)
				began := time.Now()
				turns := func(since time.Time) float64 { return float64(time.Since(since)) / float64(c.turn) }
				rd, err := src.Range(t.Context(), 0, size)
				must(t, err)
				if first := turns(began); first == 0 || first > 3 {
					t.Errorf("the first byte of a cold object took %v turns, at most 3 are promised", first)
				}
				var gap float64
				got := make([]byte, size)
				for at := 0; at < size; {
					asked := time.Now()
					n, err := rd.Read(got[at:min(at+64<<10, size)])
					if err != nil {
						t.Fatalf("at %d: %v", at, err)
					}
					if wait := turns(asked); wait > 0 {
						gap = max(gap, wait)
						t.Logf("%v turns of silence at %d KiB", wait, at>>10)
					}
					if at += n; c.pace > 0 && at/c.pace > (at-n)/c.pace {
						<-time.After(c.turn)
					}
				}
				if n, err := rd.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					t.Errorf("after the end: %d bytes, %v", n, err)
				}
				must(t, rd.Close())
				if !bytes.Equal(got, body) {
					t.Error("other bytes than were put")
				}
				if gap > c.gap {
					t.Errorf("%v turns of silence within the body, want at most %v", gap, c.gap)
				}
				asked := f.asked()
				t.Logf("%v turns in all, asked %v", turns(began), asked)
				if c.opens > 0 && asked["open"] > c.opens {
					t.Errorf("%d files were opened, want at most %d", asked["open"], c.opens)
				}
				f.setTurn(near)
				f.close()
			})
		})
	}
}
