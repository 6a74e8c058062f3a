package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
)

// Bwlimit is how many bytes a second background work may move, by the time of
// day: rclone's timetable. "10M" is always, "08:00,1M 23:00,off" is 1 MiB/s by
// day and no bound by night, "Mon-08:00,1M Sat-00:00,off" is by days of the
// week. K, M and G are powers of 1024, as rclone has them; a bare number is KiB.
// The zero value is no bound.
type Bwlimit struct {
	text  string
	slots []slot // in order of time
}

// slot is a bound from a time on; 0 is none.
type slot struct {
	day    int // of the week, Sunday is 0
	minute int // of the day
	limit  int64
}

// ParseBwlimit reads a bound or a timetable; ErrInvalid gives an example.
func ParseBwlimit(s string) (Bwlimit, error) {
	b := Bwlimit{text: strings.Join(strings.Fields(s), " ")}
	words := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ';' || r == '\t' })
	for _, word := range words {
		when, limit, timed := strings.Cut(word, ",")
		if !timed {
			if len(words) > 1 {
				return Bwlimit{}, badBwlimit(s)
			}
			when, limit = "00:00", word
		}
		n, err := parseRate(limit)
		if err != nil {
			return Bwlimit{}, badBwlimit(s)
		}
		days := []int{0, 1, 2, 3, 4, 5, 6}
		if name, rest, ok := strings.Cut(when, "-"); ok {
			day := slices.Index([]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}, strings.ToLower(name)[:min(3, len(name))])
			if day < 0 {
				return Bwlimit{}, badBwlimit(s)
			}
			days, when = []int{day}, rest
		}
		at, err := clock(when)
		if err != nil || at == minutes {
			return Bwlimit{}, badBwlimit(s)
		}
		for _, day := range days {
			b.slots = append(b.slots, slot{day, at, n})
		}
	}
	if !slices.ContainsFunc(b.slots, func(s slot) bool { return s.limit > 0 }) {
		return Bwlimit{}, nil // one spelling of no bound
	}
	slices.SortStableFunc(b.slots, func(a, b slot) int { return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.minute, b.minute)) })
	return b, nil
}

func badBwlimit(s string) error {
	return fmt.Errorf("bwlimit %q: write a rate or a timetable of them, such as \"8M\" or \"08:00,1M 23:00,off\": %w", s, cairn.ErrInvalid)
}

// parseRate reads bytes a second: off, 512 (KiB), 8M. 0 is no bound.
func parseRate(s string) (int64, error) {
	if s == "off" || s == "0" {
		return 0, nil
	}
	if strings.Trim(s, "0123456789.") == "" {
		s += "K"
	}
	switch last := s[max(len(s)-1, 0):]; last {
	case "K", "M", "G", "T":
		s += "iB"
	case "k":
		s = strings.TrimSuffix(s, "k") + "KiB"
	}
	n, err := ParseSize(s)
	if err != nil || n <= 0 {
		return 0, badBwlimit(s)
	}
	return int64(n), nil
}

// At is the bound at a time, bytes a second; 0 for none.
func (b Bwlimit) At(t time.Time) int64 {
	if len(b.slots) == 0 {
		return 0
	}
	now := slot{day: int(t.Weekday()), minute: t.Hour()*60 + t.Minute()}
	limit := b.slots[len(b.slots)-1].limit // what last week ended with
	for _, s := range b.slots {
		if s.day > now.day || s.day == now.day && s.minute > now.minute {
			break
		}
		limit = s.limit
	}
	return limit
}

// String is the timetable as it was written; "off" for no bound.
func (b Bwlimit) String() string { return cmp.Or(b.text, "off") }

// MarshalText is String.
func (b Bwlimit) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText is ParseBwlimit.
func (b *Bwlimit) UnmarshalText(text []byte) (err error) {
	*b, err = ParseBwlimit(string(text))
	return err
}
