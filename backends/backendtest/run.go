// Package backendtest has doubles of a node for tests: Mem, an honest one in
// memory, and Faulty, which fails, hangs and lies as it is told; and Run,
// which holds any Remote to the contract. It is used by tests alone.
//
// Reading order: mem.go, faulty.go, choose.go, run.go.
package backendtest

import (
	"errors"
	"testing"

	"github.com/cairn-storage/cairn/backends"
	"github.com/cairn-storage/cairn/backends/conform"
)

// Run holds the Remote that makeRemote gives to every check of conform, each
// as a subtest on the same Remote, and closes it if it can be. Checks of
// abilities that it does not offer are skipped.
func Run(t *testing.T, makeRemote func(t *testing.T) backends.Remote) {
	t.Helper()
	r := makeRemote(t)
	results := conform.Run(t.Context(), r, "tmp/conform", nil)
	for _, result := range results {
		t.Run(result.Name, func(t *testing.T) {
			switch {
			case errors.Is(result.Err, conform.ErrNotOffered):
				t.Skip(result.Err)
			case result.Err != nil:
				t.Error(result.Err)
			}
		})
	}
	if ran, all := len(results), len(conform.Checks()); ran != all {
		t.Errorf("only %d checks of %d ran", ran, all)
	}
	for e, err := range r.List(t.Context(), "") {
		if err != nil {
			t.Errorf("list after the checks: %v", err)
			break
		}
		t.Errorf("left behind: %s, %d bytes", e.Name, e.Size)
	}
	if c, ok := backends.As[backends.Closer](r); ok {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}
