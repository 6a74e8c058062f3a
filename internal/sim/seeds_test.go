package sim

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cairn-storage/cairn/internal/race"
)

var (
	seeds  = flag.Int("seeds", 0, "how many seeds TestSeeds runs; 0 for a number that fits every test run")
	from   = flag.Uint64("from", 1, "the first of them")
	more   = flag.Duration("more", 0, "how long TestSeeds goes on with further seeds")
	length = flag.Int("steps", 40, "steps of each plan")
	traces = flag.String("traces", filepath.Join(os.TempDir(), "cairn-sim"), "directory for the traces of failures")
	shrink = flag.Bool("shrink", true, "run a failure again and again, and find the shortest history that shows it")
	logged = flag.Bool("log", false, "print the product's log, for one seed")
)

func logger() *slog.Logger {
	if *logged {
		return slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return slog.New(slog.DiscardHandler)
}

// count is how many seeds a test runs, of which share of all is its own.
func count(t *testing.T, share int) uint64 {
	if *seeds > 0 {
		return uint64(*seeds)
	}
	if testing.Short() {
		return 10
	}
	return uint64(race.Some(200/share, 20))
}

// TestSeeds plays the plan of each seed. Whatever happens, everything that was
// acknowledged reads exactly at every moment that the bounds of the run allow,
// and always in the end: after everything is healed, then without the bad
// nodes, then from the other nodes alone.
func TestSeeds(t *testing.T) {
	began := time.Now()
	n := count(t, 1)
	t.Cleanup(func() { total.print("TestSeeds") })
	for seed := *from; seed < *from+n; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { t.Parallel(); one(t, NewSetup(seed, false)) })
	}
	if *more == 0 {
		return
	}
	// Those that nobody chose: a failure names its seed.
	t.Run("more", func(t *testing.T) {
		for w := range 4 {
			t.Run(fmt.Sprint(w), func(t *testing.T) {
				t.Parallel()
				for seed := uint64(began.Unix()) * 1000 * uint64(w+1); time.Since(began) < *more && !t.Failed(); seed++ {
					one(t, NewSetup(seed, false))
				}
			})
		}
	})
}

// TestSeedsBeyond makes more nodes bad than can be borne: reads may fail then,
// and say so, but never with wrong bytes and never with a clean short end.
func TestSeedsBeyond(t *testing.T) {
	for seed := *from; seed < *from+count(t, 4); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { t.Parallel(); one(t, NewSetup(seed, true)) })
	}
}

func one(t *testing.T, s Setup) {
	defer playing.begin(&s)()
	r := Play(t, s, NewPlan(s, *length), logger())
	total.add(r)
	report(t, r)
}

// total is what all runs came to, for the figures.
var total sums

type sums struct {
	mu                               sync.Mutex
	runs, steps, durable, lost, live int // guarded by mu
}

func (s *sums) add(r Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs++
	s.steps += len(r.Said)
	s.durable += int(r.Steps)
	s.lost += r.Losses
	s.live += r.Lives
}

func (s *sums) print(test string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Printf("FIGURE %s: %d runs of %d steps, %d durable steps, %d power losses, %d lives of a gateway\n", test, s.runs, s.steps, s.durable, s.lost, s.live)
}

// report fails t with the rate at which a failure comes again, and the shortest
// history found that shows it.
func report(t *testing.T, r Result) {
	t.Helper()
	if r.Err == nil {
		return
	}
	t.Errorf("seed %d, step %d of %d: %v", r.Setup.Seed, r.At, len(r.Plan), r.Err)
	if !*shrink {
		return
	}
	const again = 20
	rate := 0
	for range again {
		if Play(t, r.Setup, r.Plan, logger()).Err != nil {
			rate++
		}
	}
	t.Errorf("it fails %d times in %d", rate, again)
	tries := 1
	if rate < again {
		tries = again
	}
	short := r
	Shrink(r.Plan[:min(r.At+1, len(r.Plan))], 400/tries+50, func(plan []Step) bool {
		for range tries {
			if got := Play(t, r.Setup, plan, logger()); got.Err != nil {
				short = got
				return true
			}
		}
		return false
	})
	t.Errorf("the shortest that fails:\n%v", short)
	if err := os.MkdirAll(*traces, 0o777); err != nil {
		t.Error(err)
		return
	}
	name := filepath.Join(*traces, fmt.Sprintf("seed-%d.txt", r.Setup.Seed))
	if err := os.WriteFile(name, fmt.Appendf(nil, "%v\n// %d times in %d. Shrunk:\n\n%v", r, rate, again, short), 0o666); err != nil {
		t.Error(err)
		return
	}
	t.Errorf("the trace is in %s", name)
}

// TestOneSeedIsOneHistory plays seeds twice: one client alone is told the same
// both times. What looks after the shards is left out, since it asks several nodes
// at once, and so are power losses at a numbered step and the next steps of the disk
// that fail: where several packs are staged or spread at that moment, which of
// them takes the step is the scheduler's.
func TestOneSeedIsOneHistory(t *testing.T) {
	for seed := *from; seed < *from+count(t, 10); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := NewSetup(seed, false)
			s.Loops = false
			plan := slices.DeleteFunc(NewPlan(s, *length), func(s Step) bool { return s.Do == Light || s.Do == Break || s.Do >= Scrub })
			a, b := Play(t, s, plan, logger()), Play(t, s, plan, logger())
			if !slices.Equal(a.Said, b.Said) {
				for i := range a.Said {
					if i < len(b.Said) && a.Said[i] != b.Said[i] {
						t.Fatalf("step %d, %v: %q, and then %q\n%v", i, plan[i], a.Said[i], b.Said[i], a)
					}
				}
				t.Fatalf("%d steps, and then %d", len(a.Said), len(b.Said))
			}
		})
	}
}

// TestShrink finds the two steps of many that matter.
func TestShrink(t *testing.T) {
	plan := NewPlan(Setup{Seed: 5, Nodes: 3, Bad: []int{0}, PackSize: 1 << 18, Most: 1 << 20}, 60)
	plan[17], plan[40] = Step{Do: Pull, Percent: 7}, Step{Do: Second, N: 9}
	asked := 0
	got := Shrink(plan, 200, func(p []Step) bool {
		asked++
		return slices.Contains(p, Step{Do: Pull, Percent: 7}) && slices.Contains(p, Step{Do: Second, N: 9})
	})
	if len(got) != 2 || got[0].Do != Pull || got[1].Do != Second || asked > 200 {
		t.Errorf("%d runs left %v", asked, got)
	}
}

// play is a history that once failed.
func play(t *testing.T, s Setup, plan []Step) {
	t.Helper()
	if r := Play(t, s, plan, logger()); r.Err != nil {
		t.Error(r)
	}
}
