package keep

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
)

// Laid is one item, laid out.
type Laid struct {
	Name    string    `json:"name"`
	File    string    `json:"file"` // where it is now
	Kept    time.Time `json:"kept"`
	Bytes   int64     `json:"bytes"`
	Restore string    `json:"restore"` // the line that puts it back; empty when nobody knows one
	Error   string    `json:"error,omitempty"`
}

// LayOut writes the newest version of every kept item into dir, which is made,
// readable by its owner alone. An item that cannot be read has its Error, and an
// older version in its place where one can.
func LayOut(ctx context.Context, s Store, dir string) ([]Laid, error) {
	found := make(map[string][]cairn.Object) // oldest first
	err := versions(ctx, s, "", func(item string, _ time.Time, o cairn.Object) { found[item] = append(found[item], o) })
	if errors.Is(err, cairn.ErrNotExist) { // nothing was ever kept
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("kept: %w", err)
	}
	if len(found) == 0 {
		return nil, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("kept: %w: %w", err, cairn.ErrDenied)
	}
	var out []Laid
	for item, objects := range found {
		l := Laid{Name: item, File: filepath.Join(dir, fileName(item))}
		var errs []error
		for _, o := range slices.Backward(objects) {
			if err := l.lay(ctx, s, o.Key); err != nil {
				errs = append(errs, err)
				continue
			}
			break
		}
		if len(errs) > 0 {
			l.Error = errors.Join(errs...).Error()
		}
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b Laid) int { return strings.Compare(a.Name, b.Name) })
	return out, ctx.Err()
}

// fileName is item as a name in a directory; names of [[keep]] are so already,
// but anybody with an access key can make another.
func fileName(item string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, item)
}

func (l *Laid) lay(ctx context.Context, s Store, key cairn.Key) error {
	o, src, err := s.Open(ctx, key)
	if err != nil {
		return err
	}
	defer src.Close()
	_, at, _ := parseName(key.Object)
	if o.Size == 0 {
		err = os.WriteFile(l.File, nil, 0o600)
	} else {
		err = l.copy(ctx, src, o.Size)
	}
	if err != nil {
		return fmt.Errorf("%v: %w", key, err)
	}
	l.Kept, l.Bytes, l.Restore = at, o.Size, restoreLine(l.File, o.Meta)
	return nil
}

// copy writes under another name first: a file that is there is whole.
func (l *Laid) copy(ctx context.Context, src interface {
	Range(ctx context.Context, off, n int64) (io.ReadCloser, error)
}, size int64) (err error) {
	in, err := src.Range(ctx, 0, size)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.CreateTemp(filepath.Dir(l.File), filepath.Base(l.File)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(out.Name())
		}
	}()
	_, err = io.Copy(out, in)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), l.File)
}
