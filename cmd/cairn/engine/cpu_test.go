package engine

import (
	"syscall"
	"testing"
	"time"
)

// cpuTime is the time of all cores that this process took.
func cpuTime(tb testing.TB) time.Duration {
	var r syscall.Rusage
	must(tb, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
