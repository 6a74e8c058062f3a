package contribute

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
	"github.com/cairn-storage/cairn/internal/observed"
)

// trashDir is where removed files lie, below the served directory, so that a
// rename takes them there. Clients do not see it.
const trashDir = ".trash"

// observedName is the file of its clock, in trashDir.
const observedName = "observed"

// passEvery is how often old trash is looked for.
const passEvery = time.Hour

// trash keeps what clients remove for at least keep, whatever happens meanwhile: a
// full disk, a quota that is used up, a clock that is wrong. Who took the
// gateway's key can fill a node and remove everything on it, and nothing is gone
// before the operator could learn of it.
//
// Time is observed time, that for which a server ran here: a machine whose clock
// starts in 1970 and jumps to today has observed a minute. Each file lies at its
// old path below a directory named after the hour of its removal, so that a person
// can put it back with mv.
type trash struct {
	dir   string
	keep  time.Duration
	space *ledger
	log   *slog.Logger
	clock *observed.Clock // while it is open

	// taking makes "the new name is free" and the rename one step. Nothing waits
	// under it but the disk.
	taking sync.Mutex
}

// open lets time go on where it was noted last. Until something is removed there
// is no directory to note it in, and nothing it would count for.
func (t *trash) open(ctx context.Context) (err error) {
	t.clock, err = observed.Open(ctx, durable.OS(), filepath.Join(t.dir, trashDir, observedName))
	return err
}

func (t *trash) close() {
	if err := t.clock.Close(); err != nil && !errors.Is(err, cairn.ErrNotExist) {
		t.log.Warn("contribute: what is in the trash is kept for longer", "err", err)
	}
}

// hidden reports whether name is in the trash or is it. Where names differ in
// case only the disk may not tell them apart.
func hidden(name string) bool {
	first, _, _ := strings.Cut(name, "/")
	return strings.EqualFold(first, trashDir)
}

// passing reports whether a file of this name was never published: it is where
// uploads lie until they are whole, cairn's or rclone's. Nobody can move another
// file to such a name while there is a trash.
func passing(name string) bool {
	return strings.Contains("/"+name, "/tmp/") || strings.HasSuffix(name, ".partial")
}

// take moves the file at name into the trash.
func (t *trash) take(root *os.Root, name string) error {
	t.taking.Lock()
	defer t.taking.Unlock()
	to := path.Join(trashDir, slotName(t.hour()), name)
	if err := root.MkdirAll(path.Dir(to), 0o700); err != nil {
		return err
	}
	return moveFree(root, name, to, to+"~")
}

// moveFree renames from to the name to, or where that is taken to the first of
// or1, or2 and so on that is free.
func moveFree(root *os.Root, from, to, or string) error {
	for i := 1; ; i++ {
		if _, err := root.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			return root.Rename(from, to)
		} else if err != nil {
			return err
		}
		to = or + strconv.Itoa(i)
	}
}

// watch empties the trash of what is old until ctx ends.
func (t *trash) watch(ctx context.Context) {
	ticker := time.NewTicker(passEvery)
	defer ticker.Stop()
	for {
		if err := t.pass(); err != nil {
			t.log.Warn("contribute: trash cannot be emptied", "err", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// pass removes what has been kept for long enough. What was removed at an hour
// that the clock has not reached, as its file was lost, counts as removed now.
func (t *trash) pass() error {
	root, err := os.OpenRoot(t.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), trashDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		hour, ok := slotHour(e.Name())
		if !ok {
			continue
		}
		name, now := path.Join(trashDir, e.Name()), t.clock.Now()
		switch end := time.Duration(hour+1) * time.Hour; { // of its last second
		case hour > t.hour():
			to := path.Join(trashDir, slotName(t.hour())+"-")
			err = moveFree(root, name, to+"1", to)
		case now-end >= t.keep:
			err = t.empty(root, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// hour is the one that is observed now.
func (t *trash) hour() int64 { return int64(t.clock.Now() / time.Hour) }

// slotName is the directory of what was removed in an hour; "-1" and so on behind
// it are others of that hour.
func slotName(hour int64) string { return fmt.Sprintf("%08d", hour) }

func slotHour(name string) (hour int64, ok bool) {
	digits, _, _ := strings.Cut(name, "-")
	hour, err := strconv.ParseInt(digits, 10, 64)
	return hour, err == nil && slotName(hour) == digits && hour < 1<<21
}

// empty removes a directory of the trash.
func (t *trash) empty(root *os.Root, name string) error {
	files, bytes, err := measure(root, name)
	if err != nil {
		return err
	}
	err = root.RemoveAll(name)
	if err != nil {
		left, still, _ := measure(root, name) // what cannot be counted counts as there
		files, bytes = files-left, bytes-still
	}
	t.space.give(bytes)
	t.log.Info("contribute: trash emptied", "files", files, "bytes", bytes)
	return err
}
