package durable

import "time"

// Slow returns on with each sync, of a file or a directory, longer by delay,
// as on a shingled disk (20 ms) or a network file system. Nothing is locked
// meanwhile, so syncs of different files still overlap. A delay of 0 returns
// on itself.
//
// It waits by the clock, so inside testing/synctest it must not stand under
// Pebble, which syncs with mutexes held.
func Slow(on FS, delay time.Duration) FS {
	if delay <= 0 {
		return on
	}
	return Watch(on, Hook{Before: func(s Step) error {
		if s.Op == OpSync || s.Op == OpSyncDir {
			time.Sleep(delay)
		}
		return nil
	}})
}
