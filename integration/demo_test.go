package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestDemoGoesOn: with --dir a demo keeps everything and goes on with the same
// keys and bucket; without it nothing stays.
func TestDemoGoesOn(t *testing.T) {
	ctx := limit(t, 2*time.Minute)
	o := Objects{seed(t)}

	d := demo(t, ctx)
	if len(d.Nodes) != 7 {
		t.Errorf("%d nodes, want 7", len(d.Nodes))
	}
	left := d.Dir
	if err := d.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s stayed behind: %v", left, err)
	}

	dir := t.TempDir()
	first := demo(t, ctx, "--dir", dir)
	client := first.Client(4)
	defer client.Close()
	for i := range 20 {
		if err := client.Put(ctx, o.Key(i), o.Body(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	second := demo(t, ctx, "--dir", dir)
	if first.AccessKey != second.AccessKey || first.SecretKey != second.SecretKey || first.Bucket != second.Bucket {
		t.Error("keys or bucket are others than before")
	}
	client = second.Client(4)
	defer client.Close()
	for i := range 20 {
		if err := o.Check(ctx, client, i); err != nil {
			t.Error(err)
		}
	}
	if err := second.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// TestDemoCommands: each command of the demo answers, and refuses what makes no
// sense with a line instead of an end.
func TestDemoCommands(t *testing.T) {
	ctx := limit(t, 2*time.Minute)
	d := demo(t, ctx)
	for _, command := range []string{"load", "flush", "verify", "kill 3", "verify", "lie 2", "lie 2 50", "slow 5 20", "verify", "revive 3", "revive 2", "revive 5", "verify"} {
		do(t, ctx, d, "%s", command)
	}
	for _, command := range []string{"kill", "kill 8", "kill x", "slow 1", "lie 1 101", "dance"} {
		if a, err := d.Do(ctx, "%s", command); err == nil {
			t.Errorf("%q answers %v, want an error", command, a)
		}
	}
	do(t, ctx, d, "verify")
	if err := d.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func TestAdminListenerAnswers(t *testing.T) {
	ctx := limit(t, time.Minute)
	d := demo(t, ctx)
	for path, want := range map[string]string{"/healthz": "", "/metrics": "cairn_", "/api/status": "state"} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.Admin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d, %v, no %q in %.200q", path, answer.StatusCode, err, want, body)
		}
	}
}

// TestListing: pages of any size give every key once, in order.
func TestListing(t *testing.T) {
	ctx := limit(t, 2*time.Minute)
	d := demo(t, ctx)
	client := d.Client(16)
	defer client.Close()
	const n = 1250 // more than one page of 1,000
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("list/%c/%04d", 'a'+i%3, i))
	}
	_, errs := Each(ctx, n, 16, func(ctx context.Context, i int) error { return client.Put(ctx, want[i], []byte(want[i])) })
	if len(errs) > 0 {
		t.Fatal(errs[0])
	}
	got, err := client.List(ctx, "list/")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%d keys listed, want %d in byte order", len(got), n)
	}
}
