package sftp

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"

	"github.com/pkg/sftp"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// tmp is where files are written before they get their name.
const tmp = "tmp"

// Put writes a temporary, makes it durable where the node offers that, and
// renames it: five turns for a small file in a directory that exists. That a
// directory exists is assumed, never remembered: the rename into a missing one
// says so, and only then it is made.
func (r *Remote) Put(ctx context.Context, name string, data []byte) error {
	return r.store(ctx, backends.OpPut, name, data, (*Remote).publish)
}

// placer gives a finished temporary its name.
type placer func(r *Remote, ctx context.Context, ch *channel, temporary, name string, src *source) error

func (r *Remote) store(ctx context.Context, op, name string, data []byte, place placer) error {
	if err := backends.CheckName(name); err != nil {
		return r.fail(op, name, err)
	}
	src := &source{data: data, size: len(data)}
	defer src.revoke()
	return r.do(ctx, op, name, func(ctx context.Context, l *link) error {
		ch := l.small()
		if src.size > safePacket {
			ch = l.bulk()
			ch.load.Add(int64(src.size))
			defer ch.load.Add(-int64(src.size))
		}
		temporary := path.Join(tmp, newName())
		err := r.write(ctx, ch, temporary, src)
		// Bytes taken before ctx ended are the caller's; later ones may be
		// anything, so nothing is published after it.
		if err == nil && ctx.Err() != nil {
			err = ended(ctx)
		}
		if err == nil {
			err = place(r, ctx, ch, temporary, name, src)
		}
		if err != nil {
			err = r.whyNot(ch, err, src.size)
			r.discard(ch, temporary)
		}
		return err
	})
}

// write makes the temporary: whole, closed and durable when it returns nil.
func (r *Remote) write(ctx context.Context, ch *channel, temporary string, src *source) error {
	f, err := ch.create(r.at(temporary))
	if err != nil && !lost(err) && !errors.Is(err, cairn.ErrDenied) {
		if err = r.mkdir(ch, tmp); err == nil {
			f, err = ch.create(r.at(temporary))
		}
	}
	if err != nil {
		return fmt.Errorf("create temporary: %w", notMissing(err))
	}
	err = ch.fill(f, src)
	if err == nil && ch.fsync {
		err = ch.onHandle(f.Sync())
	}
	if cerr := ch.onHandle(f.Close()); err == nil {
		err = cerr
	}
	return err
}

func (ch *channel) create(p string) (*sftp.File, error) {
	f, err := ch.c.OpenFile(p, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	return f, ch.onPath(err)
}

// fill sends all of src without waiting in between.
func (ch *channel) fill(f *sftp.File, src *source) error {
	if src.size == 0 {
		return nil
	}
	if src.size <= ch.packet {
		p := make([]byte, src.size)
		if _, err := src.readAt(p, 0); err != nil {
			return err
		}
		_, err := f.WriteAt(p, 0)
		return ch.onHandle(err)
	}
	n, err := f.ReadFromWithConcurrency(&reader{src: src}, src.size/ch.packet+1)
	switch {
	case src.revoked(): // told before what that did to the transfer
		return errRevoked
	case err != nil:
		return ch.onHandle(err)
	case n != int64(src.size):
		return fmt.Errorf("%d of %d bytes went out: %w", n, src.size, cairn.ErrUnavailable)
	}
	return nil
}

// publish renames the temporary to a name that never stood before. When it
// does stand, an earlier put whose answer was lost has done the work, if the
// bytes are these.
func (r *Remote) publish(ctx context.Context, ch *channel, temporary, name string, src *source) error {
	err := r.renameInto(ch, temporary, name)
	if err == nil || lost(err) || !failed(err) {
		return notMissing(err)
	}
	same, cerr := r.stands(ch, name, src)
	switch {
	case errors.Is(cerr, cairn.ErrNotExist):
		return err
	case cerr != nil:
		return notMissing(cerr)
	case !same:
		return fmt.Errorf("the name stands already, with other bytes: %w", cairn.ErrCorrupt)
	}
	r.discard(ch, temporary)
	return nil
}

// renameInto makes the directory when the rename fails, and tries once more.
func (r *Remote) renameInto(ch *channel, from, to string) error {
	err := ch.rename(r.at(from), r.at(to))
	dir := path.Dir(to)
	if err == nil || lost(err) || errors.Is(err, cairn.ErrDenied) || dir == "." {
		return err
	}
	if err := r.mkdir(ch, dir); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	return ch.rename(r.at(from), r.at(to))
}

func (ch *channel) rename(from, to string) error {
	if ch.posix {
		return ch.onPath(ch.c.PosixRename(from, to))
	}
	return ch.onPath(ch.c.Rename(from, to))
}

// mkdir makes dir and what is missing above it, but never the store's own
// directory: that one is missing when its disk is not mounted, and what were
// put below an empty mount point would be lost.
func (r *Remote) mkdir(ch *channel, dir string) error {
	if path.Dir(dir) == "." {
		if err := r.mounted(ch); err != nil {
			return err
		}
	}
	err := ch.onPath(ch.c.Mkdir(r.at(dir)))
	switch {
	case err == nil || failed(err): // failed: it stands, or the next step tells
		return nil
	case !errors.Is(err, cairn.ErrNotExist):
		return err
	}
	if parent := path.Dir(dir); parent != "." {
		err = r.mkdir(ch, parent)
	} else {
		err = r.mkBase(ch)
	}
	if err != nil {
		return err
	}
	if err = ch.onPath(ch.c.Mkdir(r.at(dir))); failed(err) {
		return nil
	}
	return err
}

// mounted returns nil where Config.Marker stands. Whoever asked for it looked for
// it when it connected, but a connection that was lost within a call comes back
// without a word, and the server may have started before its disk.
func (r *Remote) mounted(ch *channel) error {
	if r.c.Marker == "" {
		return nil
	}
	_, err := ch.c.Lstat(r.at(r.c.Marker))
	if err = ch.onPath(err); errors.Is(err, cairn.ErrNotExist) {
		return fmt.Errorf("%s is missing, so no directory is made; is its disk mounted? %w", r.c.Marker, cairn.ErrUnavailable)
	}
	return err
}

func (r *Remote) mkBase(ch *channel) error {
	if !r.c.MakePath {
		return r.noBase()
	}
	return ch.onPath(ch.c.MkdirAll(r.at("")))
}

// stands compares the file of that name with src.
func (r *Remote) stands(ch *channel, name string, src *source) (same bool, err error) {
	info, err := ch.c.Lstat(r.at(name))
	if err != nil {
		return false, ch.onPath(err)
	}
	if !info.Mode().IsRegular() || info.Size() != int64(src.size) {
		return false, nil
	}
	f, err := ch.c.Open(r.at(name))
	if err != nil {
		return false, ch.onPath(err)
	}
	defer f.Close()
	got, want := make([]byte, 1<<20), make([]byte, 1<<20)
	for off := 0; off < src.size; off += len(got) {
		got = got[:min(len(got), src.size-off)]
		want = want[:len(got)]
		if err := ch.readFull(f, got, int64(off)); err != nil {
			return false, err
		}
		if _, err := src.readAt(want, off); err != nil {
			return false, err
		}
		if !bytes.Equal(got, want) {
			return false, nil
		}
	}
	return true, nil
}

// discard removes a temporary now, or after the next connection.
func (r *Remote) discard(ch *channel, temporary string) {
	if err := ch.c.Remove(r.at(temporary)); err != nil && !answered(err) {
		r.leave(temporary)
	}
}

// whyNot finds out whether a plain failure means that the node is full.
func (r *Remote) whyNot(ch *channel, err error, need int) error {
	if lost(err) || !failed(err) || errors.Is(err, cairn.ErrFull) {
		return err
	}
	vfs, verr := ch.c.StatVFS(r.at(""))
	if verr != nil {
		return err // not offered
	}
	free := vfs.Bavail * vfs.Frsize
	if free < uint64(need) || vfs.Files > 0 && vfs.Ffree == 0 {
		return fmt.Errorf("%d bytes free, %d needed: %w", free, need, cairn.ErrFull)
	}
	return err
}

// notMissing keeps "not found" for files: a put that meets a missing
// directory or temporary cannot be carried out now.
func notMissing(err error) error {
	if errors.Is(err, cairn.ErrNotExist) {
		return fmt.Errorf("a directory is missing or the temporary vanished: %w", cairn.ErrUnavailable)
	}
	return err
}

func newName() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
