package demo

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSignatureIsThatOfThePublishedExample(t *testing.T) {
	// "GET Object" of AWS's "Authenticating Requests: Using the Authorization Header".
	r, err := http.NewRequest(http.MethodGet, "https://examplebucket.s3.amazonaws.com/test.txt", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Range", "bytes=0-9")
	k := keys{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1"}
	k.sign(r, nil, time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC))
	const want = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
	if got := r.Header.Get("Authorization"); !strings.HasSuffix(got, "Signature="+want) {
		t.Errorf("got %s", got)
	}
}

func TestObjectsAreAsAttics(t *testing.T) {
	const n = 20_000
	o := objects{7}
	var all []int
	sum := 0
	for i := range n {
		all = append(all, o.size(i))
		sum += o.size(i)
	}
	slices.Sort(all)
	for _, c := range []struct {
		what          string
		got, from, to float64 // KiB
	}{
		{"mean", float64(sum) / n, 25.0, 27.5},
		{"p1", float64(all[n/100]), 2.1, 3.1},
		{"median", float64(all[n/2]), 18.5, 20.7},
		{"p99", float64(all[n*99/100]), 106, 122},
		{"largest", float64(all[n-1]), 192, 256},
	} {
		if kib := c.got / 1024; kib < c.from || kib > c.to {
			t.Errorf("%s: %.1f KiB, want %.1f to %.1f", c.what, kib, c.from, c.to)
		}
	}
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.chunk$`)
	one, again, two := string(o.body(1)), string(o.body(1)), string(o.body(2))
	if !uuid.MatchString(o.key(1)) || o.key(1) == o.key(2) || one == two || one != again || len(one) != o.size(1) {
		t.Errorf("keys or bodies are not as attic's: %s, %s", o.key(1), o.key(2))
	}
	if other := (objects{8}); other.key(1) == o.key(1) {
		t.Error("another seed gives the same objects")
	}
}

func TestLiarsLieAboutShardsOnly(t *testing.T) {
	for _, c := range []struct {
		name    string
		percent int32
		wrong   bool
	}{
		{"cairn/packs/00/00/00/00/x", 100, true},
		{"cairn/packs/00/00/00/00/x", 0, false},
		{"cairn/cairn.json", 100, false},
	} {
		m := &mischief{}
		m.lie.Store(c.percent)
		p := make([]byte, 1000)
		m.Data(c.name, 0, p)
		wrong := slices.ContainsFunc(p, func(b byte) bool { return b != 0 })
		if wrong != c.wrong || m.lies.Load() > 0 != c.wrong {
			t.Errorf("%s at %d %%: wrong %v, %d counted", c.name, c.percent, wrong, m.lies.Load())
		}
	}
	m := &mischief{}
	m.lie.Store(30)
	for range 10_000 {
		m.Data("cairn/packs/x", 0, make([]byte, 8))
	}
	if n := m.lies.Load(); n < 2_700 || n > 3_300 {
		t.Errorf("30 %% of 10,000 replies are %d", n)
	}
}

func TestNumbersForPeople(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := count(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	for s, want := range map[float64]string{0.041: "0.04 s", 1.38: "1.4 s", 75: "75 s"} {
		if got := seconds(s); got != want {
			t.Errorf("%v: %s", s, got)
		}
	}
	if got := oneLine(errors.New("a\n\tb " + strings.Repeat("é", 600))); strings.ContainsAny(got, "\n\t") || len(got) > 620 {
		t.Errorf("%q", got)
	}
}
