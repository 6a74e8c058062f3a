package durable

import (
	"sync"
	"time"
)

// Attendance knows which calls of one FS are under way, reads and Pebble's
// included: a disk that hangs is one of which a call does not return. It is safe
// for concurrent use and waits for no disk itself.
type Attendance struct {
	mu     sync.Mutex
	oldest *call // guarded by mu, as are the links of all calls
	newest *call
}

// call is one call under way.
type call struct {
	op, name   string
	began      time.Time
	prev, next *call
}

// Attend returns on, with whoever asks able to see what of it is under way. A
// call costs some hundred nanoseconds more.
func Attend(on FS) (FS, *Attendance) {
	a := &Attendance{}
	return disk{around{below: on.layer(), enter: a.enter}}, a
}

// Longest is the call that has been under way for longest, such as "sync
// stage/7", and for how long; nothing and 0 while there is none, or a is nil.
func (a *Attendance) Longest() (what string, took time.Duration) {
	if a == nil {
		return "", 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.oldest == nil {
		return "", 0
	}
	return a.oldest.op + " " + a.oldest.name, time.Since(a.oldest.began)
}

// enter notes that a call begins; what it returns, that it ended.
func (a *Attendance) enter(op, name string) func() {
	c := &call{op: op, name: name, began: time.Now()}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.prev = a.newest; c.prev == nil {
		a.oldest = c
	} else {
		c.prev.next = c
	}
	a.newest = c
	return func() { a.leave(c) }
}

func (a *Attendance) leave(c *call) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.prev == nil {
		a.oldest = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		a.newest = c.prev
	} else {
		c.next.prev = c.prev
	}
}
