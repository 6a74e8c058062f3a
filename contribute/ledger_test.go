package contribute_test

import (
	"testing"

	"github.com/cairn-storage/cairn/contribute"
)

func TestQuotaHolds(t *testing.T) {
	h := serve(t, contribute.Config{Quota: 100_000})
	_, c := h.enter(t)
	if err := put(c, "a", make([]byte, 60_000)); err != nil {
		t.Fatal(err)
	}
	if err := put(c, "b", make([]byte, 60_000)); err == nil {
		t.Error("a file went past the quota")
	}
	// Of the file that did not fit, what fitted is there until it is removed.
	if got := free(t, c); got > 40_000 {
		t.Errorf("%d bytes free of 100,000 with 60,000 used", got)
	}
	for _, name := range []string{"a", "b"} {
		if err := c.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if got := free(t, c); got < 99_000 {
		t.Errorf("%d bytes free with nothing stored", got)
	}

	// What is there at the start counts.
	if err := put(c, "c", make([]byte, 90_000)); err != nil {
		t.Fatal(err)
	}
	h.stop()
	h.start(t, contribute.Config{Quota: 100_000})
	_, c = h.enter(t)
	if err := put(c, "d", make([]byte, 20_000)); err == nil {
		t.Error("after a restart, a file went past the quota")
	}
}
