package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cairn-storage/cairn/integration"
)

// loadWidth is how many clients put, and how many get.
const loadWidth = 8

// load is PUTs of new and GETs of old objects, each kind at a fixed rate by so
// many clients, whether or not those before are answered. What nobody measures
// goes on all the same.
type load struct {
	client  *integration.Client
	objects integration.Objects
	old     int // objects that were there before; of the first half every other one is not
	next    atomic.Int64
	halt    func()

	mu   sync.Mutex
	on   bool      // requests that fall due now are measured
	from time.Time // since when
	put  []sample  // guarded by mu, as are the others
	get  []sample
}

type sample struct {
	took time.Duration
	ok   bool
}

func newLoad(ctx context.Context, c *integration.Client, o integration.Objects, old int, rate float64) *load {
	l := &load{client: c, objects: o, old: old}
	l.next.Store(int64(old))
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { l.kind(ctx, rate, &l.put, l.putOne) })
	wg.Go(func() { l.kind(ctx, rate, &l.get, l.getOne) })
	l.halt = func() { cancel(); wg.Wait() }
	return l
}

func (l *load) stop() { l.halt() }

// kind has do called at a rate, by loadWidth clients.
func (l *load) kind(ctx context.Context, rate float64, to *[]sample, do func(context.Context) error) {
	due := make(chan time.Time, 1<<16) // room for minutes of nobody coming for them
	var wg sync.WaitGroup
	for range loadWidth {
		wg.Go(func() {
			for at := range due {
				err := do(ctx)
				took := time.Since(at)
				if ctx.Err() != nil {
					return
				}
				l.mu.Lock()
				if l.on && !at.Before(l.from) {
					*to = append(*to, sample{took, err == nil})
				}
				l.mu.Unlock()
			}
		})
	}
	defer wg.Wait()
	defer close(due)
	for at := time.Now(); ctx.Err() == nil; at = at.Add(time.Duration(float64(time.Second) / rate)) {
		select {
		case <-time.After(time.Until(at)):
		case <-ctx.Done():
			return
		}
		select {
		case due <- at:
		case <-ctx.Done():
			return
		}
	}
}

func (l *load) putOne(ctx context.Context) error {
	i := int(l.next.Add(1))
	return l.client.Put(ctx, l.objects.Key(i), l.objects.Body(i))
}

func (l *load) getOne(ctx context.Context) error {
	i := rand.IntN(l.old)
	if i < l.old/2 {
		i |= 1
	}
	b, err := l.client.Get(ctx, l.objects.Key(i))
	if err == nil && !bytes.Equal(b, l.objects.Body(i)) {
		err = fmt.Errorf("WRONG BYTES in %s", l.objects.Key(i))
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "get:", err)
	}
	return err
}

// begin has what falls due from now on measured.
func (l *load) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.on, l.from, l.put, l.get = true, time.Now(), nil, nil
}

// end is what was measured.
func (l *load) end() (put, get latency) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.on = false
	return latencyOf(l.put), latencyOf(l.get)
}

func latencyOf(all []sample) (out latency) {
	var took []time.Duration
	for _, s := range all {
		if out.Ops++; !s.ok {
			out.Errors++
		}
		took = append(took, s.took)
	}
	if len(took) == 0 {
		return out
	}
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	out.P50, out.P99 = ms(took[len(took)/2]), ms(took[len(took)*99/100])
	return out
}

// machineTicks is what all cores did so far, and all that they could have
// (proc(5), first line of stat).
func machineTicks() (busy, all float64) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	for i, f := range strings.Fields(line)[1:] {
		n, _ := strconv.ParseFloat(f, 64) // the kernel writes numbers
		if all += n; i != 3 && i != 4 {   // idle and waiting for disks
			busy += n
		}
	}
	return busy, all
}
