package rclone

import (
	"context"
	"testing"

	"github.com/cairn-storage/cairn/backends"
)

// A caller that stops a listing and ends its context, as a deadline does, must
// not be called once more.
func TestListThatWasStoppedSaysNoMore(t *testing.T) {
	r, err := Open(t.Context(), Config{Node: "n", Spec: "local:" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.(backends.Closer).Close() }()
	for _, name := range []string{"cairn.json", "a", "b"} {
		if err := r.Put(t.Context(), name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := 0
	for range r.List(ctx, "") {
		seen++
		cancel()
		break
	}
	if seen != 1 {
		t.Fatalf("%d entries", seen)
	}
}
