package integration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The tests of the tests: each checker here is shown a liar.

func TestSignerMatchesThePublishedExample(t *testing.T) {
	// "GET Object" of AWS's "Authenticating Requests: Using the Authorization Header".
	r, err := http.NewRequest(http.MethodGet, "https://examplebucket.s3.amazonaws.com/test.txt", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Range", "bytes=0-9")
	k := Keys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1"}
	k.Sign(r, emptyHash, time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC))
	const want = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
	if got := r.Header.Get("Authorization"); !strings.HasSuffix(got, "Signature="+want) {
		t.Errorf("got %s", got)
	}
}

// The examples for presigned addresses and for chunks, of the same documents.
func TestPresignAndChunksMatchThePublishedExamples(t *testing.T) {
	k := Keys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1"}
	at := time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
	r, err := http.NewRequest(http.MethodGet, "https://examplebucket.s3.amazonaws.com/test.txt", nil)
	if err != nil {
		t.Fatal(err)
	}
	k.Presign(r, at, 24*time.Hour)
	const want = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
	if got := r.URL.Query().Get("X-Amz-Signature"); got != want {
		t.Errorf("presigned: %s", got)
	}
	signature := "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
	for i, c := range []struct {
		size int
		want string
	}{
		{64 << 10, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"},
		{1 << 10, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"},
		{0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"},
	} {
		signature = k.over(at, "AWS4-HMAC-SHA256-PAYLOAD", signature, emptyHash, hexSum([]byte(strings.Repeat("a", c.size))))
		if signature != c.want {
			t.Errorf("chunk %d: %s", i+1, signature)
		}
	}
}

func TestSumsMatchTheirCheckValues(t *testing.T) {
	body := []byte("123456789") // what the catalogues of CRCs take
	for name, want := range map[string]string{
		"CRC32": "y/Q5Jg==", "CRC32C": "4waSgw==", "CRC64NVME": "rosUhgp5mIg=", "none": "",
		"SHA1": "98O8HYCOBHMq32eZZczDTKeuNEE=", "SHA256": "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
	} {
		if got := Sum(name, body); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestLoadFollowsTheTable(t *testing.T) {
	const n = 50_000
	o := Objects{7}
	var all []int
	sum := 0
	for i := range n {
		all = append(all, o.Size(i))
		sum += o.Size(i)
	}
	slices.Sort(all)
	for _, c := range []struct {
		what          string
		got, from, to float64 // KiB
	}{
		{"mean", float64(sum) / n, 25.0, 27.5},
		{"p1", float64(all[n/100]), 2.2, 3.0},
		{"median", float64(all[n/2]), 18.5, 20.7},
		{"p99", float64(all[n*99/100]), 108, 120},
		{"largest", float64(all[n-1]), 192, 256},
	} {
		if kib := c.got / 1024; kib < c.from || kib > c.to {
			t.Errorf("%s: %.1f KiB, want %.1f to %.1f", c.what, kib, c.from, c.to)
		}
	}
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.chunk$`)
	one, again, two := string(o.Body(1)), string(o.Body(1)), string(o.Body(2))
	if !uuid.MatchString(o.Key(1)) || o.Key(1) == o.Key(2) || one == two || one != again {
		t.Errorf("keys or bodies are not as attic's: %s, %s", o.Key(1), o.Key(2))
	}
}

// fakeCommand is a fake demo with a fault; see fake_test.go.
func fakeCommand(t *testing.T, fault string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(self, append([]string{"demo", "--json", "--fault", fault}, args...)...)
}

func TestCrashRunNotices(t *testing.T) {
	for _, c := range []struct{ fault, says string }{
		{"none", ""},
		{"lose", "LOST|WRONG BYTES"}, // the latter when the version before is still there
		{"half", "WRONG BYTES"},
		{"flip", "WRONG BYTES"},
		{"undead", "WRONG BYTES"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			err := Crash{
				Command: func() *exec.Cmd { return fakeCommand(t, c.fault, "--dir", dir) },
				Rounds:  3, Width: 4, Longest: 300 * time.Millisecond, Seed: seed(t), Log: t.Logf,
			}.Run(limit(t, time.Minute))
			switch {
			case c.says == "" && err != nil:
				t.Error(err)
			case c.says != "" && (err == nil || !regexp.MustCompile(c.says).MatchString(err.Error())):
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
		})
	}
}

func TestModelKeepsBothVersionsUntilItLooks(t *testing.T) {
	m := NewModel(Objects{1})
	m.Begin(1, 5, 1)
	if got := m.Versions(5); !slices.Equal(got, []int{0, 1}) {
		t.Errorf("in flight: %v", got)
	}
	m.Acknowledged(5, 1)
	m.Begin(2, 5, 2)
	m.Begin(3, 5, 0)
	if got := m.Versions(5); !slices.Equal(got, []int{1, 2, 0}) {
		t.Errorf("two writes without an answer: %v", got)
	}
	if got := m.Written(1, 2); len(got) != 0 {
		t.Errorf("rounds 1 and 2: %v", got)
	}
	if err := m.CheckList([]string{m.Objects.Key(5), "other"}); err == nil || !strings.Contains(err.Error(), "never written") {
		t.Errorf("a key that nobody wrote: %v", err)
	}
	if err := m.CheckList(nil); err == nil || !strings.Contains(err.Error(), "is not listed") {
		t.Errorf("a key that is missing: %v", err)
	}
}

func TestLoadNotices(t *testing.T) {
	for _, fault := range []string{"none", "flip", "lose"} {
		ctx := limit(t, time.Minute)
		d, err := startDemo(ctx, fakeCommand(t, fault))
		if err != nil {
			t.Fatal(err)
		}
		o, client := Objects{seed(t)}, d.Client(16)
		if _, errs := Each(ctx, 150, 16, func(ctx context.Context, i int) error { return client.Put(ctx, o.Key(i), o.Body(i)) }); len(errs) > 0 {
			t.Errorf("%s: put: %v", fault, errs[0])
		}
		errs := ReadNARs(ctx, 150, 4, func(ctx context.Context, i int) error { return o.Check(ctx, client, i) })
		var wrong *WrongBytes
		switch joined := errors.Join(errs...); {
		case fault == "none" && joined != nil:
			t.Error(joined)
		case fault == "flip" && !errors.As(joined, &wrong):
			t.Errorf("wrong bytes were not seen: %v", joined)
		case fault == "lose" && Status(joined) != http.StatusNotFound:
			t.Errorf("lost objects were not seen: %v", joined)
		}
		client.Close()
		if err := d.Stop(ctx); err != nil {
			t.Error(err)
		}
	}
}

func TestDemoThatEndsEarlyIsAnError(t *testing.T) {
	cmd := exec.Command("sh", "-c", "echo stage disk is gone >&2; exit 6")
	if _, err := startDemo(limit(t, time.Minute), cmd); err == nil || !strings.Contains(err.Error(), "stage disk is gone") {
		t.Errorf("error %v, want what the demo said", err)
	}
	d, err := startDemo(limit(t, time.Minute), fakeCommand(t, "none"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Do(t.Context(), "dance"); err == nil || !strings.Contains(err.Error(), "no command") {
		t.Errorf("a command that fails: %v", err)
	}
	if err := d.Kill(); err != nil {
		t.Error(err)
	}
	if _, err := d.Do(t.Context(), "flush"); err == nil {
		t.Error("a demo that is gone answers")
	}
}

func TestStopHasAWayOut(t *testing.T) {
	// A shell that does not care for SIGTERM, and says one line first.
	cmd := exec.Command("sh", "-c", `trap '' TERM; echo '{"endpoint":"x","access_key":"x","secret_key":"x","bucket":"x"}'; while :; do read x || :; done`)
	d, err := startDemo(limit(t, time.Minute), cmd)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := d.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the deadline", err)
	}
	if !d.gone() {
		t.Error("the process was left behind")
	}
}

func TestCensusCounts(t *testing.T) {
	dir := t.TempDir()
	for i := range 300 {
		name := filepath.Join(dir, "packs", "00", fmt.Sprint(i))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "cairn.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := TakeCensus(dir)
	want := Census{Files: 301, Shards: 300, Largest: 300, Where: filepath.Join(dir, "packs", "00")}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}
