package config

import (
	"errors"
	"testing"

	"github.com/cairn-storage/cairn"
)

// FuzzUnits: what is read as a size or a duration, written out, is read as the
// same one.
func FuzzUnits(f *testing.F) {
	for _, s := range []string{"", "0B", "20GiB", "1.5 TiB", "900KB", "9999999999P", "1e9B", ".5G", "7d", "1d2h", "65535d", "-1s", "1h30m", "106751d24h", "0.000000001s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := ParseSize(s); err == nil {
			text, _ := n.MarshalText()
			if again, err := ParseSize(string(text)); err != nil || again != n || n < 0 {
				t.Errorf("%q is %d, written %q and read as %d, %v", s, n, text, again, err)
			}
		} else if !errors.Is(err, cairn.ErrInvalid) {
			t.Error(err)
		}
		if d, err := ParseDuration(s); err == nil {
			text, _ := d.MarshalText()
			if again, err := ParseDuration(string(text)); err != nil || again != d || d < 0 {
				t.Errorf("%q is %d, written %q and read as %d, %v", s, d, text, again, err)
			}
		} else if !errors.Is(err, cairn.ErrInvalid) {
			t.Error(err)
		}
		var c Coding
		if err := c.UnmarshalText([]byte(s)); err == nil && c.String() != s {
			t.Errorf("%q is coding %v", s, c)
		} else if err != nil && !errors.Is(err, cairn.ErrInvalid) {
			t.Error(err)
		}
	})
}
