package contribute

import "context"

// Tap makes a Server misbehave, for demonstrations and tests. It is called
// from many goroutines at once.
type Tap interface {
	// Before may delay or fail an operation: open, read, create, write, close,
	// rename (with the new name), remove, mkdir, stat, list or statvfs. name is
	// below the served directory. ctx ends with the connection. A syscall.Errno
	// reaches the client as what it means; any other error as a failure.
	Before(ctx context.Context, op, name string) error
	// Data may alter what is about to be sent of name from off.
	Data(name string, off int64, p []byte)
}

type noTap struct{}

func (noTap) Before(context.Context, string, string) error { return nil }
func (noTap) Data(string, int64, []byte)                   {}
