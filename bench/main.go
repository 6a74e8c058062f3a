// Command bench measures a built cairn as a client sees it: a demo of seven
// SFTP nodes on this machine, coded 4+3, behind its S3 endpoint. It prints one
// JSON line for each measurement, and asserts nothing.
//
//	go build -o /tmp/cairn ./cmd/cairn && (cd bench && go run . -cairn /tmp/cairn)
//
//	go run . -beside /path/to/rclone
//	go run . -cairn /tmp/cairn -during
//	go run . -cairn /tmp/cairn -during -only compact
//
// Client, gateway and nodes share the machine, so read CPU time and ratios
// within one run before wall time. syncs counts what the gateway made durable.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"time"
)

func main() {
	program := flag.String("cairn", "cairn", "the built program")
	objects := flag.Int("objects", 2000, "small objects")
	large := flag.Int64("large", 64<<20, "bytes of a large object")
	rclone := flag.String("beside", "", "a built rclone: compare the CPU of small requests with its S3 server over memory, and nothing else")
	life := flag.Bool("during", false, "measure small requests at a fixed rate while a store on seven SFTP nodes is looked after, and nothing else")
	rate := flag.Float64("rate", 100, "of -during: PUTs a second, and GETs a second")
	rtt := flag.Duration("rtt", 20*time.Millisecond, "of -during: round-trip time to each node")
	quiet := flag.Duration("quiet", time.Minute, "of -during: how long the quiet phases take")
	nodesDir := flag.String("nodes-dir", "", "of -during: where the nodes keep their files, such as /dev/shm, so that their disk is not the gateway's (the temporary directory)")
	only := flag.String("only", "", "of -during: the one phase beside the quiet ones, by its first word, such as compact (all)")
	delay := flag.Duration("sync-delay", 0, "added to every fsync of the gateway")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *life {
		if err := during(ctx, *program, *objects, *rate, *rtt, *quiet, *nodesDir, *only, json.NewEncoder(os.Stdout)); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(ctx, *program, *rclone, *objects, *large, *delay); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// figure is one line of output.
type figure struct {
	What      string  `json:"what"`
	Width     int     `json:"width"` // requests in flight
	Ops       int     `json:"ops"`
	Bytes     int64   `json:"bytes"`
	Seconds   float64 `json:"seconds"`
	OpsPerS   float64 `json:"ops_per_s"`
	MBPerS    float64 `json:"mb_per_s"` // 1e6 bytes
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	CPUPerOp  float64 `json:"cpu_ms_per_op"` // of the demo: gateway and all nodes
	SyncPerOp float64 `json:"syncs_per_op"`  // of the gateway
	RSSMiB    int64   `json:"peak_rss_mib"`  // of the demo, so far
	Errors    int     `json:"errors"`
}

func run(ctx context.Context, program, rclone string, objects int, large int64, delay time.Duration) error {
	out := json.NewEncoder(os.Stdout)
	host := map[string]any{"what": "machine", "cpus": runtime.NumCPU(), "go": runtime.Version(), "time": time.Now().UTC().Format(time.RFC3339), "sync_delay": delay.String()}
	if err := out.Encode(host); err != nil {
		return err
	}
	if rclone != "" {
		return beside(ctx, rclone, objects, 8, out)
	}
	for _, m := range plan(objects, large) {
		f, err := measure(ctx, program, delay, m)
		if err != nil {
			return fmt.Errorf("%s: %w", m.what, err)
		}
		for _, one := range f {
			if err := out.Encode(one); err != nil {
				return err
			}
		}
	}
	return nil
}

// job is one fresh demo: all objects put, then read cold (after a restart, from
// the nodes) and once more warm (from the gateway's memory).
type job struct {
	what  string
	width int
	ops   int
	large int64 // bytes of every object; attic's distribution when 0
	down  int   // nodes killed before the reads
}

func plan(objects int, large int64) []job {
	return []job{
		{what: "small", width: 1, ops: objects / 10},
		{what: "small", width: 8, ops: objects},
		{what: "small", width: 50, ops: objects},
		{what: "small, 3 of 7 nodes down", width: 8, ops: objects, down: 3},
		{what: "large", width: 4, ops: 8, large: large},
		{what: "large, 3 of 7 nodes down", width: 4, ops: 8, large: large, down: 3},
	}
}
