package config

import (
	"errors"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
)

func TestTraffic(t *testing.T) {
	for s, want := range map[string]Size{"300G": 300e9, "300G/month": 300e9, "1TiB/month": TiB, "1.5T/month": 1.5e12} {
		if got, err := ParseTraffic(s); err != nil || got != want {
			t.Errorf("%q: %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "300", "0B", "300G/day", "300G/month/month", "-1G", "/month"} {
		if got, err := ParseTraffic(s); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("%q: %d, %v", s, got, err)
		}
	}
}

func TestHours(t *testing.T) {
	for _, x := range []struct{ hours, at, wait string }{
		{"", "12:00:00", "0s"},
		{"22:00-07:00", "21:59:59", "1s"},
		{"22:00-07:00", "22:00:00", "0s"},
		{"22:00-07:00", "00:00:00", "0s"},
		{"22:00-07:00", "06:59:59", "0s"},
		{"22:00-07:00", "07:00:00", "15h"},
		{"07:00-22:00", "06:00:00", "1h"},
		{"07:00-22:00", "22:00:00", "9h"},
		{"12:00-13:30,22:00-07:00", "13:30:00", "8h30m"},
		{"12:00-13:30,22:00-07:00", "07:00:00", "5h"},
		{"00:00-24:00", "23:59:59", "0s"},
		{"20:00-24:00", "00:00:00", "20h"},
		{"24:00-01:00", "00:30:00", "0s"},
	} {
		h, err := ParseHours(x.hours)
		if err != nil {
			t.Fatal(err)
		}
		at, _ := time.Parse("15:04:05", x.at)
		want, _ := time.ParseDuration(x.wait)
		if got := h.Wait(at); got != want {
			t.Errorf("%s at %s: %v, want %v", x.hours, x.at, got, want)
		}
	}
	for _, s := range []string{"22", "22:00", "22:00-", "22:00-22:00", "22:00-25:00", "7:00-8:00", "22:00-07:00,", " 22:00-07:00", "22:00-07:00-08:00", "22:60-23:00"} {
		if h, err := ParseHours(s); !errors.Is(err, cairn.ErrInvalid) {
			t.Errorf("%q: %v, %v", s, h, err)
		}
	}
}
