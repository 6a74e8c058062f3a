package corrupt

import (
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cairn-storage/cairn/internal/race"
)

var (
	cases = flag.Int("cases", 0, "how many cases in all; 0 for 5,000, or 100,000 with CAIRN_LONG=1, and a tenth of that with -race")
	from  = flag.Uint64("from", 1, "the number of the first case of each family")
	only  = flag.String("case", "", "run one case: family:number")
	trace = flag.Bool("trace", false, "print each case before it runs, to find one that ends the process")
)

// family is one kind of file and how cases of it are run.
type family struct {
	name  string
	share int // of 1,000 cases
	// open makes what cases of one worker share; do runs one case and closes
	// what it opened.
	open func(t *testing.T, w *worlds) bench
}

// bench runs cases, one at a time.
type bench interface {
	do(t *testing.T, r *rand.Rand) outcome
}

// outcome is what a case came to.
type outcome struct {
	class  string // byte class that was changed
	what   string // file and change, for a person
	result string // one of those below
	err    error  // a promise is broken
}

// The results of a case.
const (
	exact   = "exact"             // all objects, and nobody had to notice
	noticed = "exact and noticed" // all objects, and something said so
	failed  = "failed loudly"     // some objects are errors of a class, or the start is
	torn    = "as a torn tail"    // what a power loss in the middle of a write leaves as well
)

func families() []family {
	return []family{
		{"node", 460, openNodes},
		{"recover", 20, openRecover},
		{"nodes", 110, openSeveral},
		{"log", 100, openStage("log", (*worlds).unsealed)},
		{"sealed", 70, openStage("sealed", (*worlds).sealed)},
		{"placed", 20, openStage("placed", (*worlds).placed)},
		{"index", 40, openIndex},
		{"rebuild", 15, openRebuild},
		{"cache", 35, openCache},
		{"state", 40, openState},
		{"secrets", 30, openSecrets},
		{"config", 60, openConfig},
	}
}

func total() int {
	switch {
	case *cases > 0:
		return *cases
	case os.Getenv("CAIRN_LONG") != "":
		return race.Some(100_000, 10)
	case testing.Short():
		return 500
	}
	return race.Some(5000, 10)
}

// TestCorruption changes the bytes of every class of every kind of file.
func TestCorruption(t *testing.T) {
	w := makeWorlds(t)
	if *only != "" {
		name, number, _ := strings.Cut(*only, ":")
		n, err := strconv.ParseUint(number, 10, 64)
		at := slices.IndexFunc(families(), func(f family) bool { return f.name == name })
		if err != nil || at < 0 {
			t.Fatalf("no case %q: give family:number", *only)
		}
		f := families()[at]
		o := run(t, f, f.open(t, w), n)
		t.Logf("%s: %s: %s: %v", *only, o.what, o.result, o.err)
		if o.err != nil {
			t.Fail()
		}
		return
	}
	sums := &sums{counts: make(map[string]map[string]int)}
	for _, f := range families() {
		t.Run(f.name, func(t *testing.T) {
			began := time.Now()
			n := uint64(max(total()*f.share/1000, 1))
			var next atomic.Uint64
			next.Store(*from)
			var wg sync.WaitGroup
			for range runtime.GOMAXPROCS(0) {
				b := f.open(t, w)
				wg.Go(func() {
					for {
						i := next.Add(1) - 1
						if i >= *from+n || t.Failed() {
							return
						}
						o := run(t, f, b, i)
						sums.add(f.name, o)
						if o.err != nil {
							t.Errorf("-case %s:%d: %s: class %s: %v", f.name, i, o.what, o.class, o.err)
						}
					}
				})
			}
			wg.Wait()
			t.Logf("%d cases in %v", n, time.Since(began).Round(time.Millisecond))
		})
	}
	sums.print(t)
}

// run runs one case; a panic is a failure of it.
func run(t *testing.T, f family, b bench, n uint64) (o outcome) {
	if *trace {
		fmt.Fprintf(os.Stderr, "-case %s:%d\n", f.name, n)
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(f.name))
	defer func() {
		if p := recover(); p != nil {
			o.err = errors.Join(o.err, fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
		}
	}()
	return b.do(t, rand.New(rand.NewPCG(h.Sum64(), n)))
}

// sums counts outcomes by class.
type sums struct {
	mu     sync.Mutex
	counts map[string]map[string]int // class, result; guarded by mu
	all    map[string]int            // result; guarded by mu
	n      int                       // guarded by mu
}

func (s *sums) add(family string, o outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	class := family + "/" + o.class
	if s.counts[class] == nil {
		s.counts[class] = make(map[string]int)
	}
	if s.all == nil {
		s.all = make(map[string]int)
	}
	s.counts[class][o.result]++
	s.all[o.result]++
	s.n++
}

func (s *sums) print(t *testing.T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, class := range slices.Sorted(maps.Keys(s.counts)) {
		var line []string
		for _, r := range slices.Sorted(maps.Keys(s.counts[class])) {
			line = append(line, fmt.Sprintf("%d %s", s.counts[class][r], r))
		}
		t.Logf("%-34s %s", class, strings.Join(line, ", "))
	}
	var line []string
	for _, r := range slices.Sorted(maps.Keys(s.all)) {
		line = append(line, fmt.Sprintf("%d %s", s.all[r], r))
	}
	fmt.Printf("FIGURE corruption: %d changes of %d byte classes: %s\n", s.n, len(s.counts), strings.Join(line, ", "))
}
