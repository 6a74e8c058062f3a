package store

// Halt ends all writing with err, which is of class ErrFork where another
// gateway writes to this store: from now on writes are refused with it, nothing
// is spread, released or deleted, no root is written, and reads go on. Only a
// restart ends it. A write under way may still be answered as done; it is
// durable here and on no node.
func (s *Store) Halt(err error) {
	if err == nil || !s.halted.CompareAndSwap(nil, &err) {
		return
	}
	s.c.Log.Error("all writing has stopped; reads go on", "err", err)
	s.calm()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ease() // whoever waits is told
}

// halt is why nothing may be written, or nil.
func (s *Store) halt() error {
	if p := s.halted.Load(); p != nil {
		return *p
	}
	return nil
}

// writable is why the store takes no writes, or nil.
func (s *Store) writable() error {
	if err := s.err(); err != nil {
		return err
	}
	return s.halt()
}
