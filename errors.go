package cairn

import "errors"

// The error classes. Callers decide by errors.Is on these and never by text;
// DESIGN section 12 has the table class -> S3 code -> exit status, which
// gateway and cmd/cairn carry out.
var (
	ErrNotExist     = errors.New("does not exist")
	ErrCorrupt      = errors.New("bytes are not what was written")
	ErrUnavailable  = errors.New("not available now")
	ErrFull         = errors.New("no space left")
	ErrDenied       = errors.New("access denied")
	ErrLost         = errors.New("lost: fewer shards exist than are needed")
	ErrInvalid      = errors.New("invalid")
	ErrPrecondition = errors.New("precondition failed")
	ErrFork         = errors.New("another gateway writes to this store")
	ErrSlowDown     = errors.New("too many writes wait for the nodes")
)

// classes in the order in which Class looks for them: the more specific first.
var classes = []struct {
	err  error
	name string
}{
	{ErrFork, "fork"}, {ErrLost, "lost"}, {ErrCorrupt, "corrupt"}, {ErrFull, "full"},
	{ErrDenied, "denied"}, {ErrPrecondition, "precondition"}, {ErrInvalid, "invalid"},
	{ErrNotExist, "not-exist"}, {ErrSlowDown, "slow-down"}, {ErrUnavailable, "unavailable"},
}

// Class returns the sentinel that err belongs to, or nil when it belongs to
// none (a bug, or an interrupted context).
func Class(err error) error {
	for _, c := range classes {
		if errors.Is(err, c.err) {
			return c.err
		}
	}
	return nil
}

// ClassName is a short fixed word for err's class, for metrics labels: "ok"
// for nil and "bug" for an error of no class.
func ClassName(err error) string {
	if err == nil {
		return "ok"
	}
	for _, c := range classes {
		if errors.Is(err, c.err) {
			return c.name
		}
	}
	return "bug"
}
