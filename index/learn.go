package index

import (
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
)

// learn takes in what changes say about which records count, before any of
// them is applied, and sees to what was applied under another belief.
func (t *tx) learn(changes []Change) error {
	again := false
	for _, c := range changes {
		if err := check(c.Record); err != nil {
			return err
		}
		s := c.Record.Stamp
		if s.Compare(t.soft.floor) < 0 {
			continue
		}
		switch b := c.Record.Body.(type) {
		case pack.Life:
			l := Life{Number: s.Life, Life: b, Stamp: s}
			next := t.soft.truth.clone()
			if !next.addLife(l) {
				continue
			}
			t.soft.truth = next
			if err := t.set(lifeRow(l)); err != nil {
				return err
			}
			again = again || !b.Last.IsZero() && t.appliedBetween(b.Last, s.Life)
		case pack.Void:
			next := t.soft.truth.clone()
			if !next.addVoid(b.Of, s) {
				continue
			}
			t.soft.truth = next
			if err := t.set(voidKey(b.Of, s), nil); err != nil {
				return err
			}
			again = again || b.Of.LSN <= t.soft.applied[b.Of.Life]
		}
	}
	if !again {
		return nil
	}
	t.rewrites = true
	t.soft.registry = t.soft.registry.clone()
	if err := t.resolveAll(); err != nil {
		return err
	}
	return t.resolveUploads()
}

// appliedBetween tells whether a record after last, of a life before life, was
// applied.
func (t *tx) appliedBetween(last cairn.Stamp, life uint32) bool {
	for l, lsn := range t.soft.applied {
		if l < life && (cairn.Stamp{Life: l, LSN: lsn}).Compare(last) > 0 {
			return true
		}
	}
	return false
}

// check refuses what may not be passed over.
func check(r pack.Record) error {
	switch b := r.Body.(type) {
	case nil:
		return fmt.Errorf("index: record %v has no body: %w", r.Stamp, cairn.ErrInvalid)
	case pack.Unknown:
		if b.Critical {
			return fmt.Errorf("index: record %v of kind %d was written by a newer release and must not be passed over: %w", r.Stamp, b.Of, cairn.ErrInvalid)
		}
	}
	if r.Stamp.IsZero() {
		return fmt.Errorf("index: record without a stamp: %w", cairn.ErrInvalid)
	}
	return nil
}
