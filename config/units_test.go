package config

import (
	"errors"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
)

func TestSize(t *testing.T) {
	for _, c := range []struct {
		text  string
		want  Size
		exact string // as written back; empty: as text
		human string
	}{
		{"20GiB", 20 << 30, "", "20.0 GiB"},
		{"900G", 900e9, "", "838.2 GiB"},
		{"900GB", 900e9, "900G", "838.2 GiB"},
		{"1T", 1e12, "", "931.3 GiB"},
		{"1.5GiB", 3 << 29, "1536MiB", "1.5 GiB"},
		{"64 MiB", 64 << 20, "64MiB", "64.0 MiB"},
		{"1KB", 1000, "1K", "1000 B"},
		{"1024B", 1024, "1KiB", "1.0 KiB"},
		{"0B", 0, "", "0 B"},
		{"17B", 17, "", "17 B"},
		{"8191PiB", 8191 << 50, "", "8191.0 PiB"},
	} {
		t.Run(c.text, func(t *testing.T) {
			got, err := ParseSize(c.text)
			if err != nil || got != c.want {
				t.Fatalf("ParseSize = %d, %v; want %d", got, err, c.want)
			}
			exact, _ := got.MarshalText()
			if want := c.exact; string(exact) != want && (want != "" || string(exact) != c.text) {
				t.Errorf("written back as %q", exact)
			}
			if again, err := ParseSize(string(exact)); err != nil || again != got {
				t.Errorf("%q reads back as %d, %v", exact, again, err)
			}
			if got.String() != c.human {
				t.Errorf("String = %q, want %q", got.String(), c.human)
			}
		})
	}
}

func TestSizeRefuses(t *testing.T) {
	for _, text := range []string{
		"", "5", "GiB", "-1GiB", "+1GiB", "1e3G", "1/2G", ".5G", "5.G", "1.2.3G", "900g", "20Gib", "20gib",
		"20  GiB", "1GBB", "BB", "8192PiB", "0.3B", "٣GiB", "1\x00GiB",
	} {
		if got, err := ParseSize(text); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("ParseSize(%q) = %d, %v; want ErrInvalid", text, got, err)
		}
	}
}

func TestDuration(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
		back string // empty: as text
	}{
		{"30s", 30 * time.Second, ""},
		{"10m", 10 * time.Minute, ""},
		{"90s", 90 * time.Second, "1m30s"},
		{"1h30m", 90 * time.Minute, ""},
		{"24h", 24 * time.Hour, "1d"},
		{"7d", 7 * 24 * time.Hour, ""},
		{"1d12h", 36 * time.Hour, ""},
		{"100ms", 100 * time.Millisecond, ""},
		{"0s", 0, ""},
	} {
		got, err := ParseDuration(c.text)
		if err != nil || time.Duration(got) != c.want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", c.text, got, err, c.want)
		}
		if back := got.String(); back != c.text && back != c.back {
			t.Errorf("%q is written back as %q", c.text, back)
		}
	}
	for _, text := range []string{"", "5", "0", "-5s", "+5s", "5 s", "d", "1.5d", "70000d", "1d-5s", "106751d24h", "1w"} {
		if got, err := ParseDuration(text); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("ParseDuration(%q) = %v, %v; want ErrInvalid", text, got, err)
		}
	}
}

func TestCoding(t *testing.T) {
	for text, want := range map[string]Coding{"auto": {}, "4+3": {K: 4, M: 3}, "1+0": {K: 1}} {
		var got Coding
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want || got.String() != text {
			t.Errorf("%q reads as %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "Auto", "4", "4+", "04+3", "4 + 3", "0+3", "30+3"} {
		var got Coding
		if err := got.UnmarshalText([]byte(text)); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("%q reads as %v, %v; want ErrInvalid", text, got, err)
		}
	}
}
