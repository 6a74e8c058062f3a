package durable

import (
	"errors"
	"fmt"
	"sync/atomic"
)

// Op is a kind of step.
type Op uint8

// The steps are whatever can change what a power loss leaves, or costs a
// write to the device.
const (
	OpCreate   Op = iota + 1 // a new, empty file
	OpWrite                  // bytes into a file
	OpAllocate               // room reserved for a file
	OpSync                   // a file made durable
	OpRename                 // Name becomes To
	OpLink                   // To becomes a second name of Name
	OpRemove                 // a file or directory removed (with Pebble's RemoveAll: and all below it)
	OpMkdir                  // a new directory
	OpSyncDir                // names in a directory made durable
)

var opNames = [...]string{"", "create", "write", "allocate", "sync", "rename", "link", "remove", "mkdir", "syncdir"}

func (o Op) String() string {
	if int(o) < len(opNames) && o != 0 {
		return opNames[o]
	}
	return fmt.Sprintf("op(%d)", uint8(o))
}

// Step is one step on a watched FS, asked for through the FS or by Pebble.
type Step struct {
	N    uint64 // 1 for the first on this watched FS; the same in each run of a sequential program
	Op   Op
	Name string // the file or directory; of an open file, the name it was opened by
	To   string // the new name of OpRename and OpLink
	Off  int64  // of OpWrite and OpAllocate, -1 for a write at the end of what Pebble wrote before
	Len  int64  // bytes of OpWrite and OpAllocate
	Done int64  // bytes really written, in After
}

// String is for messages of tests: "17 write stage/3 +4096@65536".
func (s Step) String() string {
	text := fmt.Sprintf("%d %s %s", s.N, s.Op, s.Name)
	if s.To != "" {
		text += " to " + s.To
	}
	if s.Len > 0 {
		text += fmt.Sprintf(" +%d@%d", s.Len, s.Off)
	}
	return text
}

// Hook is called around every step, by the goroutine that takes it, with
// nothing locked: it may wait, and it may call Mem.Crash to look at what a
// power loss just here would leave. Both functions may be nil and are called
// by several goroutines at a time if the steps are.
//
// An error that wraps ErrCrashed, from either, ends the file system.
type Hook struct {
	// Before stands ahead of the step. An error is reported instead of doing
	// it, and nothing is done; a *Torn writes a part.
	Before func(Step) error
	// After stands behind a step that Before let pass, and is given its
	// error. What it returns is what the caller sees: an error for a step that
	// worked is "done, but reported as failed". It must not return nil for an
	// error.
	After func(Step, error) error
}

// ErrCrashed is what every operation of a watched FS returns after its hook
// said so: the power is gone, nothing changes any more.
var ErrCrashed = errors.New("power lost")

// Torn, returned by Hook.Before for OpWrite, lets the first Bytes bytes be
// written and reports Err. For other steps it is just Err.
type Torn struct {
	Bytes int64
	Err   error
}

func (t *Torn) Error() string { return fmt.Sprintf("torn after %d bytes: %v", t.Bytes, t.Err) }

// Unwrap returns Err.
func (t *Torn) Unwrap() error { return t.Err }

// Watch returns on with hook around each of its steps. Both remain usable:
// what is done on the one is seen on the other, but only the returned one
// calls the hook. A step costs some tens of nanoseconds more, and no
// memory.
func Watch(on FS, hook Hook) FS {
	return disk{&watchLayer{below: on.layer(), hook: hook}}
}

// watchLayer is a layer with a hook. Its methods are in watchfs.go.
type watchLayer struct {
	below layer
	hook  Hook
	steps atomic.Uint64
	dead  atomic.Bool
}

// alive is nil until the power is lost.
func (w *watchLayer) alive() error {
	if w.dead.Load() {
		return ErrCrashed
	}
	return nil
}

// before numbers s and asks the hook.
func (w *watchLayer) before(s *Step) error {
	if w.dead.Load() {
		return ErrCrashed
	}
	s.N = w.steps.Add(1)
	if w.hook.Before == nil {
		return nil
	}
	return w.judge(w.hook.Before(*s))
}

// after tells the hook how s ended and returns what the caller sees.
func (w *watchLayer) after(s *Step, err error) error {
	if w.hook.After == nil {
		return err
	}
	return w.judge(w.hook.After(*s, err))
}

func (w *watchLayer) judge(err error) error {
	if err != nil && errors.Is(err, ErrCrashed) {
		w.dead.Store(true)
	}
	return err
}

// step does one step other than a write.
func (w *watchLayer) step(s Step, do func() error) error {
	if err := w.before(&s); err != nil {
		return err
	}
	return w.after(&s, do())
}

// tornWrite returns how much of a write of n bytes err lets through.
func tornWrite(err error, n int) int {
	var torn *Torn
	if !errors.As(err, &torn) {
		return 0
	}
	return int(max(min(torn.Bytes, int64(n)), 0))
}
