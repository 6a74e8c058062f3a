package engine

import (
	"context"
	"encoding/json"
	"path/filepath"
	"time"

	"github.com/cairn-storage/cairn/internal/durable"
)

// growthFile, below the state directory, has one sample of the bytes of packs
// for each day, of the last growthMost days.
const (
	growthFile = "growth"
	growthMost = 60
	// growthLeast is how long samples must reach back before they mean anything.
	growthLeast = 2 * 24 * time.Hour
)

// grown is one sample.
type grown struct {
	At    time.Time `json:"at"`
	Bytes int64     `json:"bytes"` // of packs on nodes
}

// watchGrowth notes how much stands on the nodes, each hour, until ctx ends.
func (e *Engine) watchGrowth(ctx context.Context) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		if l, silent, err := e.glance(ctx); err == nil && silent == 0 && l.count != nil {
			e.noteGrowth(grown{time.Now().UTC().Truncate(time.Second), l.count.Sum().Bytes})
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// noteGrowth keeps a sample, unless the last one is of the same day.
func (e *Engine) noteGrowth(g grown) {
	samples := readGrowth(e.c.FS, e.c.File.Dir)
	if n := len(samples); n > 0 && g.At.Sub(samples[n-1].At) < 23*time.Hour {
		return
	}
	samples = append(samples, g)
	b, err := json.Marshal(samples[max(0, len(samples)-growthMost):])
	if err == nil {
		err = durable.WriteFile(e.c.FS, filepath.Join(e.c.File.Dir, growthFile), append(b, '\n'))
	}
	if err != nil {
		e.c.Log.Warn("how fast the store grows is not noted", "err", err)
	}
}

// readGrowth returns the samples, none where they cannot be read.
func readGrowth(fs durable.FS, dir string) (out []grown) {
	b, err := durable.ReadFile(fs, filepath.Join(dir, growthFile), 64<<10)
	if err != nil || json.Unmarshal(b, &out) != nil {
		return nil
	}
	return out
}

// fullIn is in how many days usable bytes more are there, at the pace of the
// samples up to now; 0 while nobody knows or nothing grows.
func fullIn(samples []grown, now grown, usable int64) float64 {
	if len(samples) == 0 {
		return 0
	}
	first := samples[0]
	took := now.At.Sub(first.At)
	perDay := float64(now.Bytes-first.Bytes) / (took.Hours() / 24)
	if took < growthLeast || perDay <= 0 {
		return 0
	}
	return float64(max(usable, 0)) / perDay
}
