package backends

import (
	"context"
	"iter"
)

// The operations, as they stand in Call, Error and metrics.
const (
	OpPut      = "put"
	OpRead     = "read"
	OpStat     = "stat"
	OpList     = "list"
	OpDelete   = "delete"
	OpConnect  = "connect"
	OpFree     = "free"
	OpReplace  = "replace"
	OpDescribe = "describe"
)

// Call is one call to a Remote, as a wrapper sees it.
type Call struct {
	Op    string
	Name  string // the file or directory; empty for free and describe
	Bytes int    // of content carried either way; 0 where there is none
}

// Around is a Remote that passes every call to Inner through Do, those to
// abilities that As finds below included (Close goes straight through). The
// wrappers of this package are built on it; they override what needs more.
//
// Do runs the given function any number of times, with ctx or one made from
// it, and returns the call's error. A listing is one call, which lasts until
// its consumer stops.
type Around struct {
	Inner Remote
	Do    func(ctx context.Context, c Call, run func(context.Context) error) error
}

// Unwrap returns Inner.
func (a *Around) Unwrap() Remote { return a.Inner }

// Put passes through Do.
func (a *Around) Put(ctx context.Context, name string, data []byte) error {
	return a.Do(ctx, Call{OpPut, name, len(data)}, func(ctx context.Context) error {
		return a.Inner.Put(ctx, name, data)
	})
}

// ReadAt passes through Do.
func (a *Around) ReadAt(ctx context.Context, name string, p []byte, off int64) error {
	return a.Do(ctx, Call{OpRead, name, len(p)}, func(ctx context.Context) error {
		return a.Inner.ReadAt(ctx, name, p, off)
	})
}

// Stat passes through Do.
func (a *Around) Stat(ctx context.Context, name string) (int64, error) {
	// Not a named result: a run that Do has given up may still set it.
	var size int64
	err := a.Do(ctx, Call{Op: OpStat, Name: name}, func(ctx context.Context) (err error) {
		size, err = a.Inner.Stat(ctx, name)
		return err
	})
	if err != nil {
		return 0, err
	}
	return size, nil
}

// List passes through Do as one call.
func (a *Around) List(ctx context.Context, dir string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		stopped := false
		err := a.Do(ctx, Call{Op: OpList, Name: dir}, func(ctx context.Context) error {
			for e, err := range a.Inner.List(ctx, dir) {
				if err != nil {
					return err
				}
				if !yield(e, nil) {
					stopped = true
					return nil
				}
			}
			return nil
		})
		if err != nil && !stopped {
			yield(Entry{}, err)
		}
	}
}

// Delete passes through Do.
func (a *Around) Delete(ctx context.Context, name string) error {
	return a.Do(ctx, Call{Op: OpDelete, Name: name}, func(ctx context.Context) error {
		return a.Inner.Delete(ctx, name)
	})
}

// Cover returns ability with its calls passing through Do.
func (a *Around) Cover(ability any) any { return &covered{a, ability} }

// covered has every ability by its methods; As reaches only those that the
// ability below has too, so the assertions in them hold.
type covered struct {
	around  *Around
	ability any
}

func (c *covered) Free(ctx context.Context) (free, total int64, err error) {
	var f, t int64 // not the named results: see Around.Stat
	err = c.around.Do(ctx, Call{Op: OpFree}, func(ctx context.Context) (err error) {
		f, t, err = c.ability.(Capacity).Free(ctx)
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	return f, t, nil
}

func (c *covered) Replace(ctx context.Context, name string, data []byte) error {
	return c.around.Do(ctx, Call{OpReplace, name, len(data)}, func(ctx context.Context) error {
		return c.ability.(Replacer).Replace(ctx, name, data)
	})
}

func (c *covered) Describe(ctx context.Context) (Traits, error) {
	var traits Traits
	err := c.around.Do(ctx, Call{Op: OpDescribe}, func(ctx context.Context) (err error) {
		traits, err = c.ability.(Describer).Describe(ctx)
		return err
	})
	if err != nil {
		return Traits{}, err
	}
	return traits, nil
}

func (c *covered) Close() error { return c.ability.(Closer).Close() }
