package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// lifeFigure is what clients saw while one thing was done for the store.
type lifeFigure struct {
	What    string  `json:"what"`
	Seconds float64 `json:"seconds"`
	Put     latency `json:"put"`
	Get     latency `json:"get"`
	// CPU seconds a second.
	Gateway float64 `json:"cpu_gateway"`
	Nodes   float64 `json:"cpu_nodes"`
	Clients float64 `json:"cpu_clients"`
	Machine float64 `json:"cpu_machine"` // of 1: all cores, whoever used them
	Says    string  `json:"says,omitempty"`
}

// latency is from when a request was due, so that one which waited for those
// before it counts whole.
type latency struct {
	Ops    int     `json:"ops"`
	Errors int     `json:"errors"`
	P50    float64 `json:"p50_ms"`
	P99    float64 `json:"p99_ms"`
	Ratio  float64 `json:"p99_ratio"` // to the quiet phase
}

// during measures small PUTs and GETs that come at a fixed rate, to a cairn with
// seven SFTP nodes behind a delay, first quiet, then while the store is looked
// after: every byte scrubbed, a wiped node rebuilt, an eighth filled, half-empty
// packs written anew. The GETs are of old objects: few are in memory, none on the
// gateway's disk.
func during(ctx context.Context, program string, objects int, rate float64, rtt, quiet time.Duration, nodesDir, only string, out *json.Encoder) (err error) {
	dir, err := os.MkdirTemp("", "cairn-during-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	at, err := os.MkdirTemp(nodesDir, "cairn-during-nodes-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(at)
	l, err := newLife(ctx, dir, at, program, objects, rtt)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.stop()) }()
	if err := l.fill(ctx, objects); err != nil {
		return err
	}
	load := newLoad(ctx, l.client, l.objects, objects, rate)
	defer load.stop()
	nap := func(ctx context.Context) (string, error) {
		select {
		case <-time.After(quiet):
			return "", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	var calm *lifeFigure
	for _, p := range []struct {
		what string
		do   func(context.Context) (string, error)
	}{
		{"quiet", nap},
		{"scrub --full", l.verb("scrub", "--full")},
		{"rebuild of a wiped node", func(ctx context.Context) (string, error) {
			for start := time.Now(); ; {
				if err := l.wipe("carol"); err != nil {
					return "", err
				}
				says, err := l.verb("rebuild", "carol")(ctx)
				if err != nil || time.Since(start) > quiet/3 {
					return says, err
				}
			}
		}},
		{"rebalance to an eighth node", func(ctx context.Context) (string, error) {
			if err := l.add(ctx, l.nodes[7]); err != nil {
				return "", err
			}
			return l.verb("rebalance")(ctx)
		}},
		{"compact", l.verb("compact", "--below", "95%")},
		{"quiet again", nap},
	} {
		if only != "" && !strings.HasPrefix(p.what, only) && !strings.HasPrefix(p.what, "quiet") {
			continue
		}
		f, err := l.phase(ctx, load, p.what, p.do)
		if err != nil {
			return fmt.Errorf("%s: %w", p.what, err)
		}
		if calm == nil {
			calm = &f
		}
		f.Put.Ratio, f.Get.Ratio = f.Put.P99/calm.Put.P99, f.Get.P99/calm.Get.P99
		if err := out.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// phase has load measured while do runs.
func (l *life) phase(ctx context.Context, load *load, what string, do func(context.Context) (string, error)) (lifeFigure, error) {
	pids := []int{l.gateway.Process.Pid, l.server.Process.Pid, os.Getpid()}
	var before [3]float64
	for i, pid := range pids {
		before[i] = cpuSeconds(pid)
	}
	busy, all := machineTicks()
	load.begin()
	start := time.Now()
	says, err := do(ctx)
	f := lifeFigure{What: what, Seconds: time.Since(start).Seconds(), Says: says}
	f.Put, f.Get = load.end()
	for i, to := range []*float64{&f.Gateway, &f.Nodes, &f.Clients} {
		*to = (cpuSeconds(pids[i]) - before[i]) / f.Seconds
	}
	busy2, all2 := machineTicks()
	f.Machine = (busy2 - busy) / (all2 - all)
	return f, err
}
