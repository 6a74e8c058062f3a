package config

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
)

// Size is a number of bytes. It is written with its unit: KiB, MiB, GiB, TiB
// and PiB are powers of 1024; K, M, G, T and P (or KB, MB, GB, TB and PB, as
// disks are sold) are powers of 1000; B is one byte. "1.5GiB" is fine, a bare
// number is not.
type Size int64

// The binary units.
const (
	KiB Size = 1 << (10 * (iota + 1))
	MiB
	GiB
	TiB
	PiB
)

// units in the order in which MarshalText tries them: the largest first,
// binary before decimal.
var units = []struct {
	name string
	size Size
}{
	{"PiB", PiB}, {"P", 1e15}, {"TiB", TiB}, {"T", 1e12}, {"GiB", GiB}, {"G", 1e9},
	{"MiB", MiB}, {"M", 1e6}, {"KiB", KiB}, {"K", 1e3}, {"B", 1},
}

// ParseSize reads a size; ErrInvalid says what is wrong and gives an example.
func ParseSize(s string) (Size, error) {
	bad := func(why string) (Size, error) {
		return 0, fmt.Errorf("size %q: %s, such as \"20GiB\" or \"900G\": %w", s, why, cairn.ErrInvalid)
	}
	end := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if end < 0 {
		return bad("write it with a unit")
	}
	unit, number := strings.TrimPrefix(s[end:], " "), s[:end]
	if len(unit) == 2 && unit[1] == 'B' {
		unit = unit[:1] // KB is K
	}
	var factor Size
	for _, u := range units {
		if u.name == unit {
			factor = u.size
		}
	}
	switch {
	case number == "" || len(number) > 32 || strings.Count(number, ".") > 1 || number[0] == '.' || number[len(number)-1] == '.':
		return bad("write a number and a unit")
	case factor == 0:
		return bad(fmt.Sprintf("unit %q is none of B, KiB, MiB, GiB, TiB, PiB (powers of 1024), K, M, G, T, P (powers of 1000)", s[end:]))
	}
	n, ok := new(big.Rat).SetString(number)
	if !ok {
		return bad("write a number and a unit")
	}
	n.Mul(n, new(big.Rat).SetInt64(int64(factor)))
	if !n.IsInt() {
		return bad("that is not a whole number of bytes")
	}
	if !n.Num().IsInt64() {
		return bad("that is more than 8 EiB")
	}
	return Size(n.Num().Int64()), nil
}

// String is the size for people, with one decimal: "20.0 GiB", "17 B".
func (s Size) String() string {
	for _, u := range units {
		if strings.HasSuffix(u.name, "iB") && s >= u.size {
			return fmt.Sprintf("%.1f %s", float64(s)/float64(u.size), u.name)
		}
	}
	return strconv.FormatInt(int64(s), 10) + " B"
}

// MarshalText is the exact size in the shortest unit that holds it: "20GiB",
// "900G". ParseSize reads it back.
func (s Size) MarshalText() ([]byte, error) {
	best := strconv.FormatInt(int64(s), 10) + "B"
	for _, u := range units {
		if s == 0 || s%u.size != 0 {
			continue
		}
		if t := strconv.FormatInt(int64(s/u.size), 10) + u.name; len(t) < len(best) {
			best = t
		}
	}
	return []byte(best), nil
}

// UnmarshalText is ParseSize.
func (s *Size) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSize(string(text))
	return err
}

// Duration is a span of time, never negative. It is written as Go writes it,
// with days on top: "30s", "10m", "1h30m", "7d".
type Duration time.Duration

const day = 24 * time.Hour

// ParseDuration reads a duration; ErrInvalid gives an example.
func ParseDuration(s string) (Duration, error) {
	bad := func(why string) (Duration, error) {
		return 0, fmt.Errorf("duration %q: %s, such as \"30s\", \"10m\" or \"7d\": %w", s, why, cairn.ErrInvalid)
	}
	days, rest, found := strings.Cut(s, "d")
	if !found {
		days, rest = "", s
	}
	var total time.Duration
	if found {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return bad("days are a whole number up to 65535")
		}
		total = time.Duration(n) * day
	}
	if rest != "" {
		d, err := time.ParseDuration(rest)
		if err != nil || rest == "0" || rest[0] == '+' || rest[0] == '-' {
			return bad("write a number and a unit (ms, s, m, h, d)")
		}
		if total += d; total < d {
			return bad("that is too long")
		}
	} else if !found {
		return bad("write a number and a unit (ms, s, m, h, d)")
	}
	return Duration(total), nil
}

// String is the duration without empty units: "10m", "1h30m", "7d".
func (d Duration) String() string {
	t := time.Duration(d)
	if t == 0 {
		return "0s"
	}
	var out string
	if t >= day {
		out, t = strconv.FormatInt(int64(t/day), 10)+"d", t%day
		if t == 0 {
			return out
		}
	}
	s := t.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return out + s
}

// MarshalText is String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is ParseDuration.
func (d *Duration) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDuration(string(text))
	return err
}

// Coding is the wanted coding of new packs; the zero value leaves it to the
// number of sound operators and their space.
type Coding cairn.Coding

// Auto reports whether the fleet decides.
func (c Coding) Auto() bool { return c == Coding{} }

// String is "auto" or k+m.
func (c Coding) String() string {
	if c.Auto() {
		return "auto"
	}
	return cairn.Coding(c).String()
}

// MarshalText is String.
func (c Coding) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads "auto" or k+m.
func (c *Coding) UnmarshalText(text []byte) error {
	if string(text) == "auto" {
		*c = Coding{}
		return nil
	}
	parsed, err := cairn.ParseCoding(string(text))
	if err != nil {
		return fmt.Errorf("or \"auto\": %w", err)
	}
	*c = Coding(parsed)
	return nil
}
