package observed

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn/internal/durable"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestOnlyObservedTimeCounts: it goes on over restarts, and what passed between
// them does not count.
func TestOnlyObservedTimeCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := durable.NewMem()
		must(t, fs.MkdirAll("/s"))
		c, err := Open(t.Context(), fs, "/s/observed")
		must(t, err)
		time.Sleep(3*time.Hour + 20*time.Second)
		if got := c.Now(); got != 3*time.Hour+20*time.Second {
			t.Errorf("three hours and 20 s are %v", got)
		}
		must(t, c.Close())
		time.Sleep(1000 * time.Hour) // off
		c, err = Open(t.Context(), fs, "/s/observed")
		must(t, err)
		time.Sleep(time.Hour)
		if got := c.Now(); got != 4*time.Hour+20*time.Second {
			t.Errorf("an hour after a month off: %v", got)
		}
		if c.Gap() != 0 {
			t.Error("a gap was seen where none was")
		}
		if since := c.Since(time.Hour); since != 3*time.Hour+20*time.Second {
			t.Errorf("since: %v", since)
		}
		if since := c.Since(100 * time.Hour); since != 0 {
			t.Errorf("a moment ahead is %v ago", since)
		}
		after := fs.Crash(0, 1) // power loss: a tick and a half at most is gone
		must(t, c.Close())
		c, err = Open(t.Context(), after, "/s/observed")
		must(t, err)
		if got := c.Now(); got < 4*time.Hour-time.Minute || got > 4*time.Hour+20*time.Second {
			t.Errorf("after a power loss: %v", got)
		}
		must(t, c.Close())
	})
}

// machine is a clock that jumps.
type machine struct {
	mu  sync.Mutex
	now time.Time
}

func (m *machine) get() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *machine) add(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
}

// TestHazardB17JumpsPassNoTime: neither a clock set a year ahead nor a machine
// that was suspended for a day lets more than a tick pass, and both are told.
func TestHazardB17JumpsPassNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := durable.NewMem()
		must(t, fs.MkdirAll("/s"))
		m := &machine{now: time.Now()}
		c, err := open(t.Context(), fs, "/s/observed", m.get)
		must(t, err)
		for _, jump := range []time.Duration{365 * 24 * time.Hour, 24 * time.Hour, 11 * time.Minute} {
			before, gaps := c.Now(), c.Gap()
			m.add(jump)
			if passed := c.Now() - before; passed > time.Minute {
				t.Errorf("a jump of %v passed %v", jump, passed)
			}
			if c.Gap() != gaps+1 {
				t.Errorf("a jump of %v was not seen", jump)
			}
		}
		before, gaps := c.Now(), c.Gap()
		m.add(-1000 * time.Hour)
		m.add(30 * time.Second)
		if c.Now() != before || c.Gap() != gaps {
			t.Error("a clock that was set back took or gave time")
		}
		must(t, c.Close())
	})
}

// TestHazardB17WallClockAlone: the wall clock is set while the process runs on.
func TestHazardB17WallClockAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := durable.NewMem()
		must(t, fs.MkdirAll("/s"))
		wall := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) // has no monotonic reading
		m := &machine{now: wall}
		c, err := open(t.Context(), fs, "/s/observed", m.get)
		must(t, err)
		m.add(365 * 24 * time.Hour)
		if c.Gap() != 1 || c.Now() > time.Minute {
			t.Errorf("gaps %d, observed %v", c.Gap(), c.Now())
		}
		must(t, c.Close())
	})
}

// TestAFileThatRotsIsForgotten: counting begins again, which makes graces longer.
func TestAFileThatRotsIsForgotten(t *testing.T) {
	for _, text := range []string{"", "x\n", "-5\n", "99999999999999999999\n", "9223372036854775807\n", "12 34\n"} {
		synctest.Test(t, func(t *testing.T) {
			fs := durable.NewMem()
			must(t, fs.MkdirAll("/s"))
			must(t, durable.WriteFile(fs, "/s/observed", []byte(text)))
			c, err := Open(t.Context(), fs, "/s/observed")
			must(t, err)
			if c.Now() != 0 {
				t.Errorf("%q is %v", text, c.Now())
			}
			must(t, c.Close())
		})
	}
}
