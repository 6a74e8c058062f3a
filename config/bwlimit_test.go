package config

import (
	"errors"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
)

func TestBwlimit(t *testing.T) {
	at := func(text string) time.Time {
		d, err := time.Parse("2006-01-02 15:04", text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	const (
		monday   = "2026-11-23 "
		saturday = "2026-11-28 "
		sunday   = "2026-11-29 "
	)
	for _, c := range []struct {
		text, at string
		want     int64
	}{
		{"", monday + "12:00", 0}, {"off", monday + "12:00", 0}, {"8M", monday + "12:00", 8 << 20}, {"512", monday + "12:00", 512 << 10},
		{"1.5M", monday + "12:00", 3 << 19}, {"2MiB", monday + "12:00", 2 << 20}, {"64k", monday + "12:00", 64 << 10},
		{"08:00,1M 23:00,8M", monday + "07:59", 8 << 20}, {"08:00,1M 23:00,8M", monday + "08:00", 1 << 20}, {"08:00,1M 23:00,8M", monday + "23:30", 8 << 20},
		{"08:00,1M 23:00,off", sunday + "00:10", 0}, {"08:00,1M;23:00,8M", monday + "09:00", 1 << 20},
		{"Mon-08:00,1M Sat-00:00,off", saturday + "00:00", 0}, {"Mon-08:00,1M Sat-00:00,off", monday + "07:00", 0}, {"Monday-08:00,1M Sat-00:00,off", monday + "09:00", 1 << 20},
	} {
		b, err := ParseBwlimit(c.text)
		if err != nil || b.At(at(c.at)) != c.want {
			t.Errorf("%q at %s: %d, want %d, %v", c.text, c.at, b.At(at(c.at)), c.want, err)
		}
		if again, err := ParseBwlimit(b.String()); err != nil || again.At(at(c.at)) != c.want {
			t.Errorf("%q comes back as %q, %v", c.text, b, err)
		}
	}
	for _, text := range []string{"fast", "8M 9M", "08:00", "08:00,", "25:00,1M", "08:00,1M 9M", "Fun-08:00,1M", "-1M", "8:00,1M", "08:00,-1M", "1M:2M", "24:00,1M"} {
		if _, err := ParseBwlimit(text); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
