package sftp

import (
	"context"
	"errors"
	"path"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// Replace stores data under name, over what stood there. A reader sees the old
// file or the new one; only on a node without posix-rename there is a moment
// with neither (Traits.AtomicRename tells).
func (r *Remote) Replace(ctx context.Context, name string, data []byte) error {
	return r.store(ctx, backends.OpReplace, name, data, (*Remote).supplant)
}

func (r *Remote) supplant(ctx context.Context, ch *channel, temporary, name string, _ *source) error {
	defer r.held.drop(name)
	err := r.renameInto(ch, temporary, name)
	if err == nil || ch.posix || lost(err) || !failed(err) {
		return notMissing(err)
	}
	// The old one steps aside, and comes back if the new one cannot take its
	// place.
	aside := path.Join(tmp, newName())
	if aerr := ch.rename(r.at(name), r.at(aside)); errors.Is(aerr, cairn.ErrNotExist) {
		return err
	} else if aerr != nil {
		return aerr
	}
	if err = ch.rename(r.at(temporary), r.at(name)); err != nil {
		if berr := ch.rename(r.at(aside), r.at(name)); berr != nil {
			return errors.Join(notMissing(err), notMissing(berr))
		}
		return notMissing(err)
	}
	r.discard(ch, aside)
	return nil
}
