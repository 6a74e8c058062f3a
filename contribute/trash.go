package contribute

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// trashDir is where removed files lie, below the served directory, so that a
// rename takes them there. Clients do not see it.
const trashDir = ".trash"

// observedName is a file in trashDir: the seconds for which this directory has
// been served, as text.
const observedName = "observed"

// tick is how often observed time is noted and old trash looked for.
const tick = time.Hour

// trash keeps what clients remove for at least keep, whatever happens meanwhile: a
// full disk, a quota that is used up, a clock that is wrong. Who took the
// gateway's key can fill a node and remove everything on it, and nothing is gone
// before the operator could learn of it.
//
// Time is observed time: that for which a server ran on this directory. A machine
// whose clock starts in 1970 and jumps to today has observed a minute.
// Each file lies at its old path below a directory named after the hour of its
// removal, so that a person can put it back with mv.
type trash struct {
	dir   string
	keep  time.Duration // 0: what is removed is gone
	space *ledger
	log   *slog.Logger

	// mu is held while the trash is looked at and changed: nothing waits under it
	// but the disk.
	mu      sync.Mutex
	unsaved time.Duration // observed and not in the file
	since   time.Time     // up to which unsaved counts
}

func newTrash(c Config, space *ledger) *trash {
	return &trash{dir: c.Dir, keep: c.Trash, space: space, log: c.Log, since: time.Now()}
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

// take moves the file at name into the trash and reports whether it did: false
// is that the file is nothing to keep, and the caller removes it.
func (t *trash) take(root *os.Root, name string) (bool, error) {
	if t.keep == 0 || passing(name) {
		return false, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	c, err := t.look(root)
	if err != nil {
		return false, err
	}
	to := path.Join(trashDir, slotName(c.now), name)
	if err := root.MkdirAll(path.Dir(to), 0o700); err != nil {
		return false, err
	}
	for base, i := to, 1; ; i++ {
		if _, err := root.Lstat(to); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return false, err
		}
		to = base + "~" + strconv.Itoa(i)
	}
	return true, root.Rename(name, to)
}

// watch empties the trash of what is old until ctx ends.
func (t *trash) watch(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for ctx.Err() == nil {
		select {
		case <-ticker.C:
		case <-ctx.Done(): // the time since the last tick is noted, too
		}
		if err := t.pass(); err != nil {
			t.log.Warn("contribute: trash cannot be emptied", "err", err)
		}
	}
}

// pass notes the time and removes what has been kept for long enough. That the
// time cannot be noted, as on a full disk, is no reason to keep it longer.
func (t *trash) pass() error {
	root, err := os.OpenRoot(t.dir)
	if err != nil {
		return err // the disk is away: nobody observes it
	}
	defer root.Close()
	c, noted, err := t.note(root)
	if err != nil {
		return err
	}
	for _, slot := range c.slots {
		// Of its hour the last second counts.
		if c.now-time.Duration(slot+1)*time.Hour < t.keep {
			continue
		}
		if err := t.empty(root, slot); err != nil {
			return err
		}
	}
	return noted
}

// contents is what the trash held at one moment.
type contents struct {
	slots []int64       // the hours of which something is there
	now   time.Duration // the observed time
}

// look reads the contents. A note that is lost or torn is made up for by the
// newest of the hours: time goes on from there, and what is kept is kept longer.
// t.mu is held.
func (t *trash) look(root *os.Root) (c contents, err error) {
	now := time.Now()
	t.unsaved, t.since = t.unsaved+max(now.Sub(t.since), 0), now
	d, err := root.Open(trashDir)
	if errors.Is(err, fs.ErrNotExist) {
		return contents{now: t.unsaved}, nil
	}
	if err != nil {
		return contents{}, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return contents{}, err
	}
	c.now = t.unsaved
	if text, err := root.ReadFile(path.Join(trashDir, observedName)); err == nil {
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n >= 0 && n < 1<<33 {
			c.now += time.Duration(n) * time.Second
		}
	}
	for _, name := range names {
		if n, err := strconv.ParseInt(name, 10, 64); err == nil && n >= 0 && n < 1<<21 && slotName(time.Duration(n)*time.Hour) == name {
			c.slots = append(c.slots, n)
			c.now = max(c.now, time.Duration(n)*time.Hour)
		}
	}
	return c, nil
}

func slotName(at time.Duration) string { return fmt.Sprintf("%08d", int64(at/time.Hour)) }

// note makes the observed time durable where something is kept; noted says why
// that failed.
func (t *trash) note(root *os.Root) (c contents, noted, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, err = t.look(root)
	if err != nil || len(c.slots) == 0 {
		return c, nil, err
	}
	seconds := c.now.Truncate(time.Second)
	name := path.Join(trashDir, observedName)
	f, noted := root.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if noted != nil {
		return c, noted, nil
	}
	_, noted = fmt.Fprintln(f, int64(seconds/time.Second))
	if noted = errors.Join(noted, f.Sync(), f.Close()); noted != nil {
		return c, noted, nil
	}
	if noted = root.Rename(name+".new", name); noted == nil {
		t.unsaved = c.now - seconds
	}
	return c, noted, nil
}

// empty removes what was removed in the hour slot.
func (t *trash) empty(root *os.Root, slot int64) error {
	name := path.Join(trashDir, slotName(time.Duration(slot)*time.Hour))
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

// measure is how many regular files are below dir, and their bytes.
func measure(root *os.Root, dir string) (files int, bytes int64, err error) {
	err = fs.WalkDir(root.FS(), dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOENT) {
			return nil // an upload that was torn
		}
		if err != nil {
			return err
		}
		files++
		bytes += info.Size()
		return nil
	})
	return files, bytes, err
}
