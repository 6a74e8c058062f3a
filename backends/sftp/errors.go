package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/pkg/sftp"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// Status codes of later drafts that servers send in version 3 as well.
const (
	fxNoSuchPath    = 10
	fxWriteProtect  = 12
	fxNoSpace       = 14
	fxQuotaExceeded = 15
)

// lostError is a call that never got its answer because the link is gone.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }
func (e *lostError) Unwrap() error { return e.err }

func lost(err error) bool {
	var l *lostError
	return errors.As(err, &l)
}

// onPath gives the class of what the node answered to a request that named a
// path: only there does "no such file" speak of the file.
func (ch *channel) onPath(err error) error {
	var status *sftp.StatusError
	if errors.Is(err, os.ErrNotExist) || errors.As(err, &status) && status.Code == fxNoSuchPath {
		return cairn.ErrNotExist
	}
	return ch.onHandle(err)
}

// onHandle gives the class of what the node answered to a request on an open
// file. Servers say "no such file" there when they mean the handle. Anything
// that is not an answer at all ends the link.
func (ch *channel) onHandle(err error) error {
	var status *sftp.StatusError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("the node lost its handle: %w", cairn.ErrUnavailable)
	case errors.Is(err, os.ErrPermission):
		return cairn.ErrDenied
	case errors.As(err, &status) && answered(err):
		switch status.Code {
		case fxWriteProtect:
			return fmt.Errorf("%w: %w", cairn.ErrDenied, err)
		case fxNoSpace, fxQuotaExceeded:
			return fmt.Errorf("%w: %w", cairn.ErrFull, err)
		}
		return fmt.Errorf("%w: %w", cairn.ErrUnavailable, err)
	}
	return ch.l.lose(err)
}

// lose drops the link because of err and returns the reason it was dropped
// for, which an earlier one may have been.
func (l *link) lose(err error) error {
	class := cairn.ErrCorrupt // an answer, but not one that the protocol knows
	var network net.Error
	if errors.Is(err, sftp.ErrSSHFxConnectionLost) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) || errors.As(err, &network) || !l.alive() {
		class = cairn.ErrUnavailable
	}
	l.drop(fmt.Errorf("connection lost: %w", err))
	return &lostError{fmt.Errorf("%w: %w", class, l.cause())}
}

// answered reports whether err is the node's own word on a request, so that
// the link is sound.
func answered(err error) bool {
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return true
	}
	var status *sftp.StatusError
	if !errors.As(err, &status) {
		return false
	}
	code := status.FxCode()
	return code != sftp.ErrSSHFxConnectionLost && code != sftp.ErrSSHFxNoConnection
}

// failed reports whether the node said no without saying why: version 3 has
// one code for a full disk, an existing name and all the rest.
func failed(err error) bool {
	var status *sftp.StatusError
	return errors.As(err, &status)
}

// unavailable gives err a class when it has none.
func unavailable(err error) error {
	if err == nil || cairn.Class(err) != nil {
		return err
	}
	return fmt.Errorf("%w: %w", cairn.ErrUnavailable, err)
}

// ended is the error of a call whose ctx is over.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

func (r *Remote) fail(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &backends.Error{Op: op, Node: r.c.Node, Name: name, Err: unavailable(err)}
}
