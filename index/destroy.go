package index

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
)

// Destroy removes the files of the index in dir and no others, damaged or
// whole. Missing is fine; ErrUnavailable when it is open. A crash half way
// leaves no index or one that Open refuses. dir itself stays, and in it the
// empty lock file: removed, it would let two processes each hold a lock.
func Destroy(fs durable.FS, dir string) error {
	names, err := fs.List(dir)
	if errors.Is(err, cairn.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("index: destroy: %w", err)
	}
	lock, err := takeLock(fs, dir)
	if err != nil {
		return err
	}
	defer lock.Close() // nothing was written under it that could fail
	// Markers first: without them no table counts, so that a crash between
	// never leaves some tables of a database that looks whole.
	for _, marker := range []bool{true, false} {
		for _, name := range names {
			if !ours(name) || strings.HasPrefix(name, "marker.") != marker || name == lockName {
				continue
			}
			if err := fs.Remove(fs.VFS().PathJoin(dir, name)); err != nil && !errors.Is(err, cairn.ErrNotExist) {
				return fmt.Errorf("index: destroy: %w", err)
			}
		}
		if err := fs.SyncDir(dir); err != nil {
			return fmt.Errorf("index: destroy: %w", err)
		}
	}
	return nil
}

const lockName = "LOCK"

// ours tells whether Pebble makes files of this name.
func ours(name string) bool {
	number := func(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
	switch before, after, _ := strings.Cut(name, "."); {
	case name == lockName, name == "CURRENT":
		return true
	case before == "marker":
		return strings.HasPrefix(after, "manifest.") || strings.HasPrefix(after, "format-version.")
	case before == "temporary", before == "CURRENT":
		return strings.HasSuffix(after, ".dbtmp")
	case after == "sst", after == "blob", after == "log":
		return number(before)
	}
	kind, n, _ := strings.Cut(name, "-")
	return (kind == "MANIFEST" || kind == "OPTIONS") && number(n)
}

// checkFiles refuses a directory with tables and nothing that names them:
// Pebble would take it for a new one.
func checkFiles(fs durable.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return fmt.Errorf("index: open: %w", err)
	}
	tables, marker := false, false
	for _, name := range names {
		tables = tables || ours(name) && strings.HasSuffix(name, ".sst")
		marker = marker || strings.HasPrefix(name, "marker.manifest.")
	}
	if tables && !marker {
		return fmt.Errorf("index: open: tables but no manifest: %w", cairn.ErrCorrupt)
	}
	return nil
}
