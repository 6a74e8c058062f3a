package integration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestNewPrefixes: writers into prefixes that nobody used before do not get in
// each other's way.
func TestNewPrefixes(t *testing.T) {
	const n = 1000
	ctx := limit(t, 2*time.Minute)
	d := demo(t, ctx)
	client := d.Client(32)
	defer client.Close()
	o := Objects{seed(t)}
	key := func(i int) string { return fmt.Sprintf("new/%03x/%d/%s", i%257, i, o.Key(i)) }
	counts, errs := Each(ctx, n, 32, func(ctx context.Context, i int) error { return client.Put(ctx, key(i), o.Body(i)) })
	if len(errs) > 0 {
		t.Fatalf("%d of %d PUTs failed, the first: %v", len(errs), n, errs[0])
	}
	figure(t, "%d PUTs into new prefixes at c32: %d answered 200", n, counts[http.StatusOK])
	_, errs = Each(ctx, n, 32, func(ctx context.Context, i int) error {
		got, err := client.Get(ctx, key(i))
		if err != nil {
			return err
		}
		return compare(key(i), got, o.Body(i))
	})
	if len(errs) > 0 {
		t.Fatalf("%d of %d objects cannot be read, the first: %v", len(errs), n, errs[0])
	}
	keys, err := client.List(ctx, "new/")
	if err != nil || len(keys) != n {
		t.Errorf("%d keys listed, want %d: %v", len(keys), n, err)
	}
}

// runner is what one client of a race was told.
type runner struct {
	status int
	err    error
}

// race lets width clients put under one key if it is absent, all at once.
// answered, where there is one, is called after each answer.
func race(ctx context.Context, client *Client, key string, width int, body func(w int) []byte, answered func()) []runner {
	out := make([]runner, width)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for w := range width {
		wg.Go(func() {
			<-start
			r, err := client.Ask(ctx, Ask{Method: http.MethodPut, Key: key, Body: body(w), Header: []string{"If-None-Match", "*"}})
			out[w] = runner{r.Status, err}
			if err == nil && answered != nil {
				answered()
			}
		})
	}
	close(start)
	wg.Wait()
	return out
}

// TestOneWinner: of many who put if absent exactly one does, and its bytes are
// what is there.
func TestOneWinner(t *testing.T) {
	const width = 64
	rounds := 40
	if long() {
		rounds = 1000
	}
	ctx := limit(t, 3*time.Minute)
	d := demo(t, ctx)
	client := d.Client(width)
	defer client.Close()
	o := Objects{seed(t)}
	for round := range rounds {
		key := fmt.Sprint("race-", round)
		size := []int{200, 1000, 20 << 10, 70 << 10, 1<<20 + 1}[round%5] // the last has a stage file of its own
		body := func(w int) []byte { return o.Version(round, w, size) }
		winner, conflicts := -1, 0
		for w, r := range race(ctx, client, key, width, body, nil) {
			switch {
			case r.err != nil:
				t.Fatalf("%s: client %d: %v", key, w, r.err)
			case r.status == http.StatusOK && winner >= 0:
				t.Fatalf("%s: clients %d and %d both won", key, winner, w)
			case r.status == http.StatusOK:
				winner = w
			case r.status == http.StatusConflict:
				conflicts++ // S3 may answer that to the one who lost
			case r.status != http.StatusPreconditionFailed:
				t.Fatalf("%s: client %d: HTTP %d", key, w, r.status)
			}
		}
		if winner < 0 {
			t.Fatalf("%s: nobody won (%d conflicts)", key, conflicts)
		}
		got, err := client.Get(ctx, key)
		if err == nil {
			err = compare(key, got, body(winner))
		}
		if err != nil {
			t.Fatalf("%s, won by %d: %v", key, winner, err)
		}
	}
	figure(t, "%d rounds of %d clients with If-None-Match: one winner each", rounds, width)
}

// TestOneWinnerThroughACrash: also when the gateway is killed in the middle of
// the race and other clients go on after its restart, nobody wins over an
// answer that was given, and what is there is one winner's, whole.
func TestOneWinnerThroughACrash(t *testing.T) {
	const width, keys = 16, 24 // clients of each key, and keys raced for at once
	rounds := 8
	if long() {
		rounds = 100
	}
	ctx := limit(t, 4*time.Minute)
	dir := t.TempDir()
	d := demo(t, ctx, "--dir", dir)
	o := Objects{seed(t)}
	var before, after, untold int // keys by when their winner was told, if at all
	for round := range rounds {
		// The kill comes with the n-th answer, so that it comes while many wait.
		first := raceAll(ctx, d, o, round, 0, keys, width, int64(1+round*13%(keys*width/4)))
		d = demo(t, ctx, "--dir", dir)
		second := raceAll(ctx, d, o, round, width, keys, width, 0)
		client := d.Client(4)
		for i := range keys {
			key := fmt.Sprintf("crash-%d-%d", round, i)
			var told, silent []int // who was told to have won; who got no answer
			for w, r := range append(first[i], second[i]...) {
				switch {
				case r.err != nil && w < width:
					silent = append(silent, w)
				case r.err != nil:
					t.Fatalf("%s: client %d after the restart: %v", key, w, r.err)
				case r.status == http.StatusOK:
					told = append(told, w)
				case r.status != http.StatusPreconditionFailed && r.status != http.StatusConflict:
					t.Fatalf("%s: client %d: HTTP %d", key, w, r.status)
				}
			}
			possible := told
			switch {
			case len(told) > 1:
				t.Fatalf("%s: clients %v were all told that they won", key, told)
			case len(told) == 0: // then one without an answer did
				possible = silent
				untold++
			case told[0] < width:
				before++
			default:
				after++
			}
			got, err := client.Get(ctx, key)
			if err != nil {
				t.Fatalf("%s, won by one of %v: %v", key, possible, err)
			}
			err = errors.New("nobody can have won")
			for _, w := range possible {
				if err = compare(key, got, o.Version(1000*round+i, w, 300)); err == nil {
					break
				}
			}
			if err != nil {
				t.Fatalf("%s, won by one of %v: %v", key, possible, err)
			}
		}
		client.Close()
	}
	figure(t, "%d rounds of %d keys, killed in the middle: one winner each; told before the kill %d, never told %d, won after the restart %d",
		rounds, keys, before, untold, after)
	if before == 0 || before == rounds*keys || long() && untold == 0 {
		t.Error("the kills did not come in the middle of the races: this proves nothing")
	}
	if err := d.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// raceAll races for all keys at once with clients numbered from first on; at
// the kill-th answer the gateway is killed, with 0 never.
func raceAll(ctx context.Context, d *Demo, o Objects, round, first, keys, width int, kill int64) [][]runner {
	client := d.Client(keys * width)
	defer client.Close()
	out := make([][]runner, keys)
	var answers atomic.Int64
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			out[i] = race(ctx, client, fmt.Sprintf("crash-%d-%d", round, i), width,
				func(w int) []byte { return o.Version(1000*round+i, first+w, 300) },
				func() {
					if answers.Add(1) == kill {
						_ = d.cmd.Process.Kill() // an error means that it is gone
					}
				})
		})
	}
	wg.Wait()
	if kill > 0 {
		_ = d.Kill() // waits for its end
	}
	return out
}
