package sftp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/contribute"
)

// opens counts how often files are opened for reading. It is a contribute.Tap.
type opens struct{ atomic.Int64 }

func (o *opens) Before(_ context.Context, op, _ string) error {
	if op == "open" {
		o.Add(1)
	}
	return nil
}

func (o *opens) Data(string, int64, []byte) {}

// TestReadsOfOneFileOpenItOnce on a channel, however many begin at once; what
// overfills the window of one channel goes through another as well.
func TestReadsOfOneFileOpenItOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		size  int
		opens int64
	}{{64 << 10, 1}, {1 << 20, 2}} {
		t.Run(fmt.Sprint(c.size>>10, " KiB"), func(t *testing.T) {
			count := &opens{}
			n := contributed(t, contribute.Config{Tap: count})
			r := open(t, n.config())
			data := content(8<<20, 1)
			if err := r.Put(t.Context(), "packs/a", data); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 8)
			for i := range 8 {
				go func() {
					b := make([]byte, c.size)
					err := r.ReadAt(t.Context(), "packs/a", b, int64(i*c.size))
					if err == nil && !bytes.Equal(b, data[i*c.size:(i+1)*c.size]) {
						err = errors.New("other bytes than were put")
					}
					done <- err
				}()
			}
			for range 8 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			if got := count.Load(); got > c.opens {
				t.Errorf("%d times opened, want at most %d", got, c.opens)
			}
		})
	}
}

// TestAFailureToOpenIsNotShared: each call has an answer that is younger than
// itself.
func TestAFailureToOpenIsNotShared(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, n *node) {
		r := open(t, n.config())
		done := make(chan error, 8)
		for range 8 {
			go func() { done <- r.ReadAt(t.Context(), "packs/a", make([]byte, 10), 0) }()
		}
		for range 8 {
			if err := <-done; !errors.Is(err, cairn.ErrNotExist) {
				t.Errorf("a file that is not there: %v", err)
			}
		}
		if err := r.Put(t.Context(), "packs/a", content(10, 1)); err != nil {
			t.Fatal(err)
		}
		if err := r.ReadAt(t.Context(), "packs/a", make([]byte, 10), 0); err != nil {
			t.Error(err)
		}
	})
}
