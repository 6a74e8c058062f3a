package durable

import (
	"io"
	"io/fs"
)

// treeLock is a held lock. Locks know no processes here: a second Lock fails
// whoever asks.
type treeLock struct {
	t    *tree
	name string
}

func (l treeLayer) Lock(name string) (io.Closer, error) {
	f, err := l.OpenReadWrite(name, writer)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	if l.t.locks[clean(name)] {
		return nil, pathError("lock", name, errHeld)
	}
	l.t.locks[clean(name)] = true
	return &treeLock{l.t, clean(name)}, nil
}

func (l *treeLock) Close() error {
	l.t.mu.Lock()
	defer l.t.mu.Unlock()
	if l.name == "" {
		return fs.ErrClosed
	}
	delete(l.t.locks, l.name)
	l.name = ""
	return nil
}
