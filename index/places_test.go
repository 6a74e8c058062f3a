package index

import (
	"errors"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/pack"
)

// TestARowThatWouldNotParseAgainIsRefused: what cannot be read back must not be
// written, as the index would not open any more.
func TestARowThatWouldNotParseAgainIsRefused(t *testing.T) {
	x := open(t, durable.NewMem())
	defer func() { must(t, x.Close()) }()
	row := PackRow{Params: pack.Params{ID: packID('A'), Coding: cairn.Coding{K: 2, M: 1}}, State: Spread, At: make([]cairn.Location, maxEntries)}
	must(t, x.SetPack(row))
	if got, err := x.Pack(row.Params.ID); err != nil || len(got.At) != maxEntries {
		t.Fatalf("%d places, %v", len(got.At), err)
	}
	more := func(r *PackRow) error { r.At = append(r.At, cairn.Location{Index: 1}); return nil }
	if err := x.UpdatePack(row.Params.ID, more); !errors.Is(err, cairn.ErrInvalid) {
		t.Errorf("%v", err)
	}
	_ = more(&row)
	if err := x.SetPack(row); !errors.Is(err, cairn.ErrInvalid) {
		t.Errorf("%v", err)
	}
	if got, err := x.Pack(row.Params.ID); err != nil || len(got.At) != maxEntries {
		t.Errorf("%d places, %v", len(got.At), err)
	}
}
