package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/recovery"
)

// Owners are the recipients that recover the store.
func (e *Engine) Owners() []string { return slices.Clone(e.secretsNow().owners) }

// KeysPending reports whether a change of owners or epochs was begun that does
// not stand on enough nodes yet.
func (e *Engine) KeysPending() bool { return e.hasPending() }

// AddOwner wraps the keys of all epochs for one more owner, who recovers the
// store from then on. It returns when that stands on enough nodes;
// ErrPrecondition for one who is an owner already, ErrUnavailable where the
// plugin that theirs or another's recipient needs does not work here.
func (e *Engine) AddOwner(ctx context.Context, recipient string) error {
	r, err := crypt.ParseRecipient(recipient)
	if err != nil {
		return err
	}
	owners := e.wantedOwners()
	if slices.Contains(owners, r.String()) {
		if e.KeysPending() { // the same command, given again
			return e.changeKeys(ctx, owners, false)
		}
		return fmt.Errorf("%s is an owner already: %w", r, cairn.ErrPrecondition)
	}
	owners = append(owners, r.String())
	// The kit is one file for all of them.
	if err := recovery.CheckRecipients(owners); err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	return e.changeKeys(ctx, owners, false)
}

// RemoveOwner leaves an owner out of the keys from now on. What was wrapped for
// them before stays open to them, until RotateKeys and for what was written
// until then. ErrNotExist for one who is none, ErrPrecondition for the last.
func (e *Engine) RemoveOwner(ctx context.Context, recipient string) error {
	r, err := crypt.ParseRecipient(recipient)
	if err != nil {
		return err
	}
	owners := e.wantedOwners()
	i := slices.Index(owners, r.String())
	switch {
	case i < 0 && e.KeysPending():
		return e.changeKeys(ctx, owners, false)
	case i < 0:
		return fmt.Errorf("%s is no owner; `cairn key recipients list` shows them: %w", r, cairn.ErrNotExist)
	case len(owners) == 1:
		return fmt.Errorf("%s is the only owner: nobody could recover the store; add another first: %w", r, cairn.ErrPrecondition)
	}
	return e.changeKeys(ctx, slices.Delete(owners, i, i+1), false)
}

// wantedOwners are the owners as a change that was begun wants them, or as they
// are.
func (e *Engine) wantedOwners() []string {
	if e.hasPending() {
		if owners, err := readOwners(e.c.FS, e.at(pendingDir)); err == nil {
			return owners
		}
	}
	return e.Owners()
}
