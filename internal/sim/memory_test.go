package sim

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"slices"
	"sync"
	"testing"
	"time"
)

// heapMost is what all runs together may have on the heap, bytes: twice the most
// that 6,480 seeds were seen to take. A run that takes more takes the machine.
const heapMost = 6 << 30

// playing are the runs that are under way.
var playing plays

type plays struct {
	mu  sync.Mutex
	now map[*Setup]bool // guarded by mu
}

func (p *plays) begin(s *Setup) (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil {
		p.now = make(map[*Setup]bool)
	}
	p.now[s] = true
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.now, s)
	}
}

func (p *plays) text() (out []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range maps.Keys(p.now) {
		out = append(out, fmt.Sprintf("%#v", *s))
	}
	return slices.Sorted(slices.Values(out))
}

// TestMain ends a run that takes more memory than there is, and tells which
// seeds it was playing and what the memory was for, before the system ends it
// without a word.
func TestMain(m *testing.M) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(time.Second / 4)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-done:
				return
			}
			if heap() < heapMost {
				continue
			}
			runtime.GC() // it may be garbage
			now := heap()
			if now < heapMost {
				continue
			}
			fmt.Fprintf(os.Stderr, "FAIL: %d bytes are on the heap. Under way:\n", now)
			for _, s := range playing.text() {
				fmt.Fprintln(os.Stderr, s)
			}
			for _, what := range []string{"heap", "goroutine"} {
				fmt.Fprintln(os.Stderr, dump(what))
			}
			os.Exit(2)
		}
	})
	status := m.Run()
	close(done)
	wg.Wait()
	os.Exit(status)
}

// heap is what objects take, those that nobody has any more included, bytes.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// dump writes a profile beside the traces and says where.
func dump(what string) string {
	name := filepath.Join(*traces, what+".pprof")
	if err := os.MkdirAll(*traces, 0o755); err != nil {
		return err.Error()
	}
	f, err := os.Create(name)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if err := pprof.Lookup(what).WriteTo(f, 0); err != nil {
		return err.Error()
	}
	return what + " profile: " + name
}
