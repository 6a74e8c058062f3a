package sftp

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends"
)

// Free asks the node for the space of the file system, or quota, that the
// store's directory lies on. ErrUnavailable when the node cannot tell.
func (r *Remote) Free(ctx context.Context) (free, total int64, err error) {
	type space struct{ free, total int64 }
	answer := make(chan space, 1) // f may outlive this call
	err = r.do(ctx, backends.OpFree, "", func(_ context.Context, l *link) error {
		vfs, err := l.small().c.StatVFS(r.at(""))
		if err != nil {
			return notMissing(l.small().onPath(err))
		}
		s := space{bytesOf(vfs.Bavail, vfs.Frsize), bytesOf(vfs.Blocks, vfs.Frsize)}
		if s.free > s.total {
			return fmt.Errorf("%d bytes free of %d: %w", s.free, s.total, cairn.ErrCorrupt)
		}
		answer <- s
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	s := <-answer
	return s.free, s.total, nil
}

// bytesOf multiplies without wrapping: the numbers are the node's.
func bytesOf(blocks, size uint64) int64 {
	hi, lo := bits.Mul64(blocks, size)
	if hi != 0 || lo > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(lo)
}

// Describe says what the node offers, and measures one round trip.
func (r *Remote) Describe(ctx context.Context) (backends.Traits, error) {
	answer := make(chan backends.Traits, 1) // f may outlive this call
	err := r.do(ctx, backends.OpDescribe, "", func(_ context.Context, l *link) error {
		ch := l.small()
		start := time.Now()
		_, err := ch.c.Stat(r.at(""))
		rtt := time.Since(start)
		if err = ch.onPath(err); err != nil {
			return notMissing(err)
		}
		answer <- backends.Traits{
			Kind:         "sftp",
			AtomicRename: ch.posix,
			Fsync:        ch.fsync,
			HostKey:      r.c.HostKey,
			Connections:  1,
			RTT:          rtt,
		}
		return nil
	})
	if err != nil {
		return backends.Traits{}, err
	}
	return <-answer, nil
}
