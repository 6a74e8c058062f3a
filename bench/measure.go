package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cairn-storage/cairn/integration"
)

// measure runs one job in a directory of its own.
func measure(ctx context.Context, program string, delay time.Duration, j job) ([]figure, error) {
	dir, err := os.MkdirTemp("", "cairn-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	args := []string{"--dir", dir}
	if delay > 0 {
		args = append(args, "--sync-delay", delay.String())
	}
	o := integration.Objects{Seed: uint64(j.width)}
	d, err := integration.StartDemo(ctx, program, args...)
	if err != nil {
		return nil, err
	}
	put, err := timed(ctx, d, j, o, "put", func(c *integration.Client, i int) (int64, error) {
		b := j.body(o, i)
		return int64(len(b)), c.Put(ctx, o.Key(i), b)
	})
	if err == nil {
		_, err = d.Do(ctx, "flush")
	}
	if serr := d.Stop(ctx); err == nil {
		err = serr
	}
	if err != nil {
		return nil, err
	}
	if d, err = integration.StartDemo(ctx, program, args...); err != nil {
		return nil, err
	}
	defer d.Kill()
	for n := range j.down {
		if _, err := d.Do(ctx, "kill %d", n+1); err != nil {
			return nil, err
		}
	}
	out := []figure{put}
	for _, pass := range []string{"get cold", "get warm"} {
		f, err := timed(ctx, d, j, o, pass, func(c *integration.Client, i int) (int64, error) {
			b, err := c.Get(ctx, o.Key(i))
			if err == nil && !bytes.Equal(b, j.body(o, i)) {
				err = fmt.Errorf("WRONG BYTES in %s", o.Key(i))
			}
			return int64(len(b)), err
		})
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

func (j job) body(o integration.Objects, i int) []byte {
	if j.large > 0 {
		return o.Version(i, 0, int(j.large))
	}
	return o.Body(i)
}

// timed runs do for every object, j.width at a time.
func timed(ctx context.Context, d *integration.Demo, j job, o integration.Objects, pass string, do func(*integration.Client, int) (int64, error)) (figure, error) {
	c := d.Client(j.width)
	defer c.Close()
	before, err := d.Status(ctx)
	if err != nil {
		return figure{}, err
	}
	cpu := cpuSeconds(d.PID())
	var mu sync.Mutex
	var took []time.Duration
	f := figure{What: pass + ", " + j.what, Width: j.width, Ops: j.ops}
	start := time.Now()
	_, errs := integration.Each(ctx, j.ops, j.width, func(ctx context.Context, i int) error {
		began := time.Now()
		n, err := do(c, i)
		mu.Lock()
		defer mu.Unlock()
		took, f.Bytes = append(took, time.Since(began)), f.Bytes+n
		return err
	})
	f.Seconds = time.Since(start).Seconds()
	after, err := d.Status(ctx)
	if err != nil {
		return figure{}, err
	}
	slices.Sort(took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	f.P50, f.P99 = ms(took[len(took)/2]), ms(took[len(took)*99/100])
	f.OpsPerS, f.MBPerS = float64(j.ops)/f.Seconds, float64(f.Bytes)/1e6/f.Seconds
	f.CPUPerOp = (cpuSeconds(d.PID()) - cpu) * 1000 / float64(j.ops)
	f.SyncPerOp = float64(*after.Fsyncs-*before.Fsyncs) / float64(j.ops)
	f.RSSMiB, f.Errors = peakRSS(d.PID()), len(errs)
	if len(errs) > 0 {
		return f, fmt.Errorf("%d of %d failed, the first: %w", len(errs), j.ops, errs[0])
	}
	return f, nil
}

// cpuSeconds is user and system time of a process (proc(5), fields 14 and 15 of
// stat, in clock ticks of 10 ms).
func cpuSeconds(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, _ := strconv.ParseFloat(fields[11], 64) // the kernel writes numbers
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / 100
}

// peakRSS is the most memory the process ever held, MiB.
func peakRSS(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64) // the kernel writes numbers
			return kib >> 10
		}
	}
	return 0
}
