package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
)

// ParseTraffic reads how many bytes a month a node may be sent and asked for: a
// size, as in "300G" or "300G/month". ErrInvalid gives an example.
func ParseTraffic(s string) (Size, error) {
	n, err := ParseSize(strings.TrimSuffix(s, "/month"))
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("traffic %q: write bytes a month, such as \"300G/month\": %w", s, cairn.ErrInvalid)
	}
	return n, nil
}

// Hours is when on a day background work may use a node, by the clock of this
// machine; none is at any time.
type Hours []span

// span is from one time of day to another, in minutes; it passes midnight where
// to is not later than from.
type span struct{ from, to int }

// minutes of a day.
const minutes = 24 * 60

// ParseHours reads times of day, as in "22:00-07:00" or "12:00-13:30,22:00-07:00";
// "" is at any time. ErrInvalid gives an example.
func ParseHours(s string) (Hours, error) {
	if s == "" {
		return nil, nil
	}
	var out Hours
	for part := range strings.SplitSeq(s, ",") {
		from, to, _ := strings.Cut(part, "-")
		a, errA := clock(from)
		b, errB := clock(to)
		if errA != nil || errB != nil || a == b {
			return nil, fmt.Errorf("hours %q: write from and to, such as \"22:00-07:00\", several with a comma between: %w", s, cairn.ErrInvalid)
		}
		out = append(out, span{a, b})
	}
	return out, nil
}

// clock reads hh:mm, also 24:00, in minutes.
func clock(s string) (int, error) {
	if s == "24:00" {
		return minutes, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, cairn.ErrInvalid
	}
	return t.Hour()*60 + t.Minute(), nil
}

// Wait is how long it is from t, by its own clock, until work may go on: 0 while
// it may. On days when the clock is changed it may err by that hour.
func (h Hours) Wait(t time.Time) time.Duration {
	if len(h) == 0 {
		return 0
	}
	day := time.Duration(minutes) * time.Minute
	now := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute + time.Duration(t.Second())*time.Second + time.Duration(t.Nanosecond())
	least := day
	for _, s := range h {
		from, to := time.Duration(s.from)*time.Minute, time.Duration(s.to)*time.Minute
		if to <= from {
			to += day
		}
		if now >= from && now < to || now+day < to {
			return 0
		}
		least = min(least, (from-now+day)%day)
	}
	return least
}
