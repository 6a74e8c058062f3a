package cairn

import (
	"errors"
	"strings"
	"testing"
)

// FuzzIDs: an id or a coding has one spelling, and anything else is ErrInvalid.
func FuzzIDs(f *testing.F) {
	for _, s := range []string{"", "4+3", "1+0", "+1+2", "04+3", "33+0", "9999999999999999999+1", strings.Repeat("0f", 16), strings.Repeat("0F", 16), strings.Repeat("0", 31) + "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		check := func(what, again string, err error) {
			if err == nil && again != s {
				t.Errorf("%s: two spellings: %q and %q", what, s, again)
			}
			if err != nil && !errors.Is(err, ErrInvalid) {
				t.Errorf("%s %q: %v", what, s, err)
			}
		}
		p, err := ParsePackID(s)
		check("pack", p.String(), err)
		n, err := ParseNodeID(s)
		check("node", n.String(), err)
		id, err := ParseStoreID(s)
		check("store", id.String(), err)
		c, err := ParseCoding(s)
		check("coding", c.String(), err)
		if err == nil && c.Check() != nil {
			t.Errorf("coding %q is taken, %v", s, c.Check())
		}
		if err := (Key{Bucket: "bbb", Object: s}).Check(); err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("key %q: %v", s, err)
		}
		if err := CheckBucketName(s); err == nil && (len(s) < 3 || len(s) > 63 || strings.ContainsAny(s, "/\x00 _A")) {
			t.Errorf("bucket %q is taken", s)
		}
	})
}
