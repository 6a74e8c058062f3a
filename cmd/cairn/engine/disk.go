package engine

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/cairn-storage/cairn/internal/durable"
)

// DiskReport is how fast the disk below a directory is.
type DiskReport struct {
	Sync  time.Duration `json:"fsync_ns"`         // of a small append, the median
	Speed int64         `json:"bytes_per_second"` // written in sequence and made durable
	Free  uint64        `json:"free_bytes"`
}

const (
	diskSyncs = 9        // odd, for the median
	diskBytes = 16 << 20 // one pack
)

// MeasureDisk writes a file below dir and removes it. It takes about a second
// on a slow disk.
func MeasureDisk(fs durable.FS, dir string) (d DiskReport, err error) {
	var random [6]byte
	rand.Read(random[:]) // never fails
	name := filepath.Join(dir, "measure-"+hex.EncodeToString(random[:])+durable.TempSuffix)
	f, err := fs.Create(name)
	if err != nil {
		return d, fmt.Errorf("measure %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, f.Close(), fs.Remove(name)) }()
	step := func(at int64, b []byte) (time.Duration, error) {
		start := time.Now()
		if _, err := f.WriteAt(b, at); err != nil {
			return 0, err
		}
		err := f.Sync()
		return time.Since(start), err
	}
	var took []time.Duration
	for i := range int64(diskSyncs) {
		t, err := step(i*4096, random[:])
		if err != nil {
			return d, fmt.Errorf("measure %s: %w", dir, err)
		}
		took = append(took, t)
	}
	slices.Sort(took)
	d.Sync = took[diskSyncs/2]
	t, err := step(0, make([]byte, diskBytes))
	if err != nil {
		return d, fmt.Errorf("measure %s: %w", dir, err)
	}
	d.Speed = int64(diskBytes / max(t, time.Microsecond).Seconds())
	if d.Free, _, err = fs.Free(dir); err != nil {
		return d, fmt.Errorf("measure %s: %w", dir, err)
	}
	return d, nil
}
