package rclone

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/object"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// cleaning bounds the removal of a temporary file after a failed put.
const cleaning = 5 * time.Second

// Put stores data under name. On backends that write in place the bytes go to
// tmp/ first and get their name by a rename, so a name never stands for less
// than the whole. On a local disk nil means that they survive a power loss.
func (r *remote) Put(ctx context.Context, name string, data []byte) error {
	return r.fail(backends.OpPut, name, r.put(ctx, name, data))
}

// Replace is Put over an existing file: rename replaces it in one step.
func (r *onDisk) Replace(ctx context.Context, name string, data []byte) error {
	return r.fail(backends.OpReplace, name, r.put(ctx, name, data))
}

func (r *remote) put(ctx context.Context, name string, data []byte) error {
	if err := r.ready(ctx, name); err != nil {
		return err
	}
	if !r.viaTemp {
		_, err := r.upload(ctx, name, data)
		return err
	}
	temp := tempName()
	err := r.publish(ctx, temp, name, data)
	if err != nil {
		r.discard(ctx, temp)
	}
	return err
}

// publish runs in an order that a power loss at any point cannot turn into a
// name without its bytes: bytes durable, then the name, then the directory.
func (r *remote) publish(ctx context.Context, temp, name string, data []byte) error {
	o, err := r.upload(ctx, temp, data)
	if err != nil {
		return err
	}
	if r.disk != nil {
		// rclone never syncs.
		if err := r.disk.syncFile(temp); err != nil {
			return classed(ctx, err)
		}
		if err := r.disk.check(); err != nil {
			return err // unmounted while the bytes were written
		}
		if err := r.disk.makeDirs(name); err != nil {
			return classed(ctx, err)
		}
	}
	if err := ctx.Err(); err != nil {
		return err // rclone's local backend would go on
	}
	moved, err := r.fs.Features().Move(r.with(ctx), o, name)
	if err != nil {
		return classed(ctx, err)
	}
	if err := whole(moved, data); err != nil {
		return err
	}
	if r.disk != nil {
		return classed(ctx, r.disk.syncDir(name))
	}
	return nil
}

// upload writes data to name in place and checks the length that stands there.
func (r *remote) upload(ctx context.Context, name string, data []byte) (fs.Object, error) {
	info := object.NewStaticObjectInfo(name, time.Now(), int64(len(data)), true, nil, nil)
	o, err := r.fs.Put(r.with(ctx), bytes.NewReader(data), info)
	if err != nil {
		return nil, classed(ctx, err)
	}
	return o, whole(o, data)
}

func whole(o fs.Object, data []byte) error {
	if o.Size() != int64(len(data)) {
		return fmt.Errorf("%d bytes were sent, %d stand there: %w", len(data), o.Size(), cairn.ErrUnavailable)
	}
	return nil
}

// discard removes a temporary file, also when ctx has just ended. What it
// cannot remove is swept by age.
func (r *remote) discard(ctx context.Context, temp string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleaning)
	defer cancel()
	if o, err := r.fs.NewObject(r.with(ctx), temp); err == nil {
		_ = o.Remove(r.with(ctx)) // the put's own error is the one that counts
	}
}

func tempName() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return "tmp/" + hex.EncodeToString(b[:])
}
