package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The test binary also plays the demo (fake_test.go), so that the tests of
// these tests need no other program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		if os.Args[1] == "demo" {
			os.Exit(fakeDemo(os.Args[2:]))
		}
		fmt.Fprintf(os.Stderr, "the fake has no verb %q\n", os.Args[1])
		os.Exit(ExitInvalid)
	}
	os.Exit(m.Run())
}

// program is the cairn to test.
func program(t *testing.T) string {
	t.Helper()
	path := os.Getenv("CAIRN_BIN")
	if path == "" {
		t.Skip("CAIRN_BIN names no program: ./test builds one and sets it")
	}
	return path
}

// long reports whether this is the long run.
func long() bool { return os.Getenv("CAIRN_LONG") != "" }

// onlyLong skips a test of the long run.
func onlyLong(t *testing.T) {
	t.Helper()
	if !long() {
		t.Skip("only in ./test long")
	}
}

// limit is a context that ends a test which waits for something that does not
// come.
func limit(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	if long() {
		d *= 8
	}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// figure prints a number that ./test repeats.
func figure(t *testing.T, format string, args ...any) {
	t.Helper()
	fmt.Printf("FIGURE %s: %s\n", t.Name(), fmt.Sprintf(format, args...))
}

// seed is CAIRN_SEED or of this moment; it is printed, so that a run can be had
// again.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := uint64(time.Now().UnixNano())
	if text := os.Getenv("CAIRN_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("CAIRN_SEED: %v", err)
		}
		s = n
	}
	t.Logf("CAIRN_SEED=%d", s)
	return s
}

// demo starts a demo that ends with the test.
func demo(t *testing.T, ctx context.Context, args ...string) *Demo {
	t.Helper()
	cmd := exec.Command(program(t), append([]string{"demo", "--json"}, args...)...)
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir()) // one that is killed leaves its directory there
	d, err := startDemo(ctx, cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Kill(); err != nil {
			t.Errorf("kill: %v", err)
		}
		if t.Failed() {
			t.Logf("the demo said:\n%s", d.Stderr())
		}
	})
	return d
}

func do(t *testing.T, ctx context.Context, d *Demo, format string, args ...any) Answer {
	t.Helper()
	a, err := d.Do(ctx, format, args...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// eventually tries until try succeeds or ctx ends.
func eventually(t *testing.T, ctx context.Context, what string, try func(context.Context) error) {
	t.Helper()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v; last: %v", what, ctx.Err(), err)
		}
	}
}
