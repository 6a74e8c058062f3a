package integration

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"testing"
	"time"
)

// TestPeakMemory: four objects of 1 GiB in flight at once, each in one PUT,
// stay within the memory that the whole program promises, its seven nodes
// included.
func TestPeakMemory(t *testing.T) {
	onlyLong(t)
	const (
		objects = 4
		size    = 1 << 30
		most    = 300 // MiB
	)
	ctx := limit(t, 3*time.Minute)
	d := demo(t, ctx, "--dir", t.TempDir())
	o := Objects{seed(t)}
	client := d.Client(objects)
	defer client.Close()
	client.HTTP.Timeout = 20 * time.Minute

	started := time.Now()
	_, errs := Each(ctx, objects, objects, func(ctx context.Context, i int) error {
		return client.PutStream(ctx, o.Key(i), io.LimitReader(o.Reader(i), size), size)
	})
	if len(errs) > 0 {
		t.Fatal(errs[0])
	}
	took := time.Since(started)
	peak, err := peakRSS(d.PID())
	if err != nil {
		t.Fatal(err)
	}
	figure(t, "%d PUTs of 1 GiB in flight: peak RSS %d MiB (at most %d), %.0f MiB/s", objects, peak, most, objects*1024/took.Seconds())
	if peak >= most {
		t.Errorf("peak RSS %d MiB, less than %d is promised", peak, most)
	}
	_, errs = Each(ctx, objects, objects, func(ctx context.Context, i int) error {
		return client.GetStream(ctx, o.Key(i), func(r io.Reader) error { return sameStream(o.Key(i), r, o.Reader(i), size) })
	})
	if len(errs) > 0 {
		t.Fatal(errs[0])
	}
	if peak, err = peakRSS(d.PID()); err != nil || peak >= most {
		t.Errorf("peak RSS %d MiB after reading, less than %d is promised: %v", peak, most, err)
	}
}

func sameStream(key string, got, want io.Reader, size int64) error {
	a, b := make([]byte, 256<<10), make([]byte, 256<<10)
	for at := int64(0); ; {
		n, err := io.ReadFull(got, a)
		if _, e := io.ReadFull(want, b[:n]); e != nil {
			return e
		}
		if !bytes.Equal(a[:n], b[:n]) {
			return &WrongBytes{key, fmt.Sprintf("within 256 KiB of byte %d", at)}
		}
		at += int64(n)
		switch {
		case err == nil:
		case (err == io.EOF || err == io.ErrUnexpectedEOF) && at == size:
			return nil
		default:
			return fmt.Errorf("%s: %w at byte %d of %d", key, err, at, size)
		}
	}
}

func TestSameStreamNotices(t *testing.T) {
	o := Objects{1}
	const size = 1 << 20
	for _, c := range []struct {
		name string
		got  io.Reader
		ok   bool
	}{
		{"same", io.LimitReader(o.Reader(1), size), true},
		{"another", io.LimitReader(o.Reader(2), size), false},
		{"short", io.LimitReader(o.Reader(1), size-1), false},
		{"long", io.LimitReader(o.Reader(1), size+1), false},
	} {
		if err := sameStream("k", c.got, o.Reader(1), size); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// peakRSS is VmHWM of a process in MiB.
func peakRSS(pid int) (int, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kib int
		if _, err := fmt.Sscanf(lines.Text(), "VmHWM: %d kB", &kib); err == nil {
			return kib >> 10, nil
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no VmHWM", pid)
}
