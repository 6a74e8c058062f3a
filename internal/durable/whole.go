package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cairn-storage/cairn"
)

// TempSuffix ends the names that WriteFile uses while it writes. A file with
// it is what a crash left of an unfinished WriteFile: worth nothing, replaced
// by the next WriteFile of that name, free to be removed.
const TempSuffix = ".tmp"

// WriteFile makes name hold data and nothing else, durably. After an error or
// a power loss the file is the old one (or none) or the new one, never a
// mixture. One writer per name at a time.
func WriteFile(on FS, name string, data []byte) error {
	temp := name + TempSuffix
	if err := writeTemp(on, temp, data); err != nil {
		_ = on.Remove(temp) // worth nothing; the next WriteFile removes it otherwise
		return err
	}
	// Only now, when every byte is durable, may the name point to it: a name
	// that became durable before the bytes would be an empty file after a
	// power loss, with the old one gone.
	if err := on.Rename(temp, name); err != nil {
		_ = on.Remove(temp)
		return err
	}
	// Last the directory: nil promises that the new file stays.
	return on.SyncDir(on.VFS().PathDir(name))
}

func writeTemp(on FS, temp string, data []byte) error {
	f, err := on.Create(temp)
	if errors.Is(err, fs.ErrExist) { // left by a crash
		if err := on.Remove(temp); err != nil {
			return err
		}
		f, err = on.Create(temp)
	}
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

// ReadFile returns the content of name. A file longer than limit bytes is
// cairn.ErrCorrupt: nobody here wrote it, and it must not fill the memory.
func ReadFile(on FS, name string, limit int64) ([]byte, error) {
	f, err := on.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written, so nothing can fail to be
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("read %s: %d bytes, at most %d expected: %w", name, size, limit, cairn.ErrCorrupt)
	}
	data := make([]byte, size)
	n, err := f.ReadAt(data, 0)
	if int64(n) == size && (err == nil || err == io.EOF) {
		return data, nil
	}
	if err == io.EOF {
		return nil, fmt.Errorf("read %s: ended after %d of %d bytes: %w", name, n, size, cairn.ErrCorrupt)
	}
	return nil, err
}
