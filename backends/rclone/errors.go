package rclone

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"syscall"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/fserrors"
	"github.com/rclone/rclone/lib/file"

	"github.com/cairn-storage/cairn"
)

// classed gives err the class that rclone's sentinels stand for. It never
// gives ErrNotExist: that takes a look at the root as well (remote.object).
// When ctx has ended, its error is what is told.
func classed(ctx context.Context, err error) error {
	if err == nil || cairn.Class(err) != nil {
		return err
	}
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("gave up: %w", ended)
	}
	return fmt.Errorf("%w: %w", class(err), err)
}

func class(err error) error {
	is := func(sentinels ...error) bool {
		for _, s := range sentinels {
			if errors.Is(err, s) {
				return true
			}
		}
		return false
	}
	switch {
	case fserrors.IsErrNoSpace(err), is(file.ErrDiskFull, syscall.EDQUOT):
		return cairn.ErrFull
	case is(fs.ErrorPermissionDenied, iofs.ErrPermission, syscall.EROFS):
		return cairn.ErrDenied
	case is(fs.ErrorRangeIgnored, fs.ErrorIsDir, fs.ErrorNotAFile):
		return cairn.ErrCorrupt // an answer that does not fit the question
	case is(fs.ErrorFileNameTooLong, fs.ErrorCantUploadEmptyFiles):
		return cairn.ErrInvalid
	}
	// Also fs.ErrorObjectNotFound and ErrorDirNotFound where they are not
	// clean, such as a parent that vanished while a file was written.
	return cairn.ErrUnavailable
}

// gone reports whether err says that a file was already removed.
func gone(err error) bool {
	return errors.Is(err, fs.ErrorObjectNotFound) || errors.Is(err, iofs.ErrNotExist)
}
