package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/internal/netfault"
	"github.com/cairn-storage/cairn/scrub"
	"github.com/cairn-storage/cairn/store"
)

// afar is a store on SFTP servers that are reached through a long line.
type afar struct {
	*Engine
	lines   []*netfault.Proxy
	friends []*friend
}

// newAfar makes a store of n nodes at the end of a line of so long a round trip,
// and fills it with packs of 16 MiB.
func newAfar(b *testing.B, n int, coding string, rtt time.Duration, packs int) *afar {
	h := newHome(b)
	must(b, h.file.Store.Coding.UnmarshalText([]byte(coding)))
	h.file.Cache.Memory = 0
	h.file.Stage.Settle = config.Duration(10 * time.Millisecond)
	e := h.open()
	a := &afar{Engine: e}
	for i := range n {
		f := newFriend(b, ownPublic(b, e))
		line, err := netfault.New(f.address)
		must(b, err)
		b.Cleanup(func() { must(b, line.Close()) })
		_, err = e.AddNode(b.Context(), NodeSpec{Name: fmt.Sprint("n", i+1), Remote: "sftp://cairn@" + line.Addr() + "/", HostKey: f.host.Fingerprint(), SkipChecks: true}, nil)
		must(b, err)
		a.lines, a.friends = append(a.lines, line), append(a.friends, f)
	}
	b.Cleanup(func() { shut(b, e) })
	must(b, e.Store.CreateBucket(b.Context(), "box"))
	body := make([]byte, 16<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(body)
	for i := range packs {
		_, err := e.Store.Put(b.Context(), store.Put{Key: cairn.Key{Bucket: "box", Object: fmt.Sprint(i)}, Body: bytes.NewReader(body), Size: int64(len(body)),
			Digest: func() (store.Digest, error) { return store.Digest{ETag: "e"}, nil }})
		must(b, err)
	}
	must(b, e.Store.Flush(b.Context()))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for { // until what is spread is the nodes' alone
		s, err := e.Status(b.Context())
		must(b, err)
		if s.Staged <= 1 {
			break
		}
		<-tick.C
	}
	for _, l := range a.lines {
		l.SetDelay(rtt / 2)
	}
	return a
}

func (a *afar) counts() (sum netfault.Counts) {
	for _, l := range a.lines {
		c := l.Counts()
		sum.Turns += c.Turns
		sum.Sent += c.Sent
		sum.Received += c.Received
	}
	return sum
}

// clients reads 64 KiB at a time from anywhere, nothing of it cached, until ctx
// ends, and returns the 99th percentile of how long that took.
func (a *afar) clients(ctx context.Context, b *testing.B, packs int) time.Duration {
	var all []time.Duration
	for dice := rand.New(rand.NewPCG(1, 2)); ctx.Err() == nil; {
		began := time.Now()
		_, src, err := a.Store.Open(b.Context(), cairn.Key{Bucket: "box", Object: fmt.Sprint(dice.IntN(packs))})
		must(b, err)
		in, err := src.Range(b.Context(), dice.Int64N(255)<<16, 64<<10)
		must(b, err)
		_, err = io.Copy(io.Discard, in)
		must(b, err)
		must(b, errors.Join(in.Close(), src.Close()))
		all = append(all, time.Since(began))
	}
	slices.Sort(all)
	return all[len(all)*99/100]
}

// BenchmarkRebuildAfar makes again everything that stood on one of seven SFTP
// nodes, coded 4+3, whose disk was wiped: what `cairn rebuild` does. The servers
// run in this process, so the cores are shared with them. made-MB/s is of shards
// that were made beside a client that reads; read/B and written/B are bytes of content for each byte of
// them, turns/pack is round trips over all connections. idle-ms and busy-ms are the
// 99th percentiles of the client's reads of 64 KiB before and meanwhile.
func BenchmarkRebuildAfar(b *testing.B) {
	const packs = 24
	for _, rtt := range []time.Duration{0, 20 * time.Millisecond} {
		b.Run(rtt.String(), func(b *testing.B) {
			a := newAfar(b, 7, "4+3", rtt, packs)
			var sum scrub.Report
			var took, idle, busy time.Duration
			var turns int64
			var cpu time.Duration
			for i := range b.N {
				b.StopTimer()
				must(b, os.RemoveAll(filepath.Join(a.friends[i%7].dir, "packs")))
				a.lines[i%7].Reset() // else what is open there is read on, wiped or not
				ctx, cancel := context.WithTimeout(b.Context(), 3*time.Second)
				idle = max(idle, a.clients(ctx, b, packs))
				cancel()
				ctx, cancel = context.WithCancel(b.Context())
				var client sync.WaitGroup
				client.Go(func() { busy = max(busy, a.clients(ctx, b, packs)) })
				before, used := a.counts(), cpuTime(b)
				b.StartTimer()
				began := time.Now()
				r, err := a.Rebuild(b.Context(), Work{Request: scrub.Request{Node: fmt.Sprint("n", i%7+1)}}, nil)
				took += time.Since(began)
				cpu += cpuTime(b) - used
				cancel()
				client.Wait()
				must(b, err)
				if r.Made < packs || r.Left > 0 {
					b.Fatalf("made %d shards of %d packs: %+v", r.Made, packs, r)
				}
				turns += a.counts().Sub(before).Turns
				sum.Made += r.Made
				sum.Read += r.Read
				sum.Written += r.Written
				sum.Requests += r.Requests
			}
			made := float64(sum.Written)
			b.ReportMetric(made/1e6/took.Seconds(), "made-MB/s")
			b.ReportMetric(made/1e6/cpu.Seconds(), "made-MB/cpu-s")
			b.ReportMetric(float64(sum.Read)/made, "read/B")
			b.ReportMetric(float64(sum.Requests)/float64(sum.Made), "requests/pack")
			b.ReportMetric(float64(turns)/float64(sum.Made), "turns/pack")
			b.ReportMetric(float64(idle.Milliseconds()), "idle-ms")
			b.ReportMetric(float64(busy.Milliseconds()), "busy-ms")
		})
	}
}
