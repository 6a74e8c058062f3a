package gateway

import (
	"fmt"
	"runtime/debug"
)

// panicked is a bug that showed in a request; the process goes on.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("panic: %v", p.value) }

// attempt is serve, with a panic as an error.
func (g *Gateway) attempt(r *request) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{v, debug.Stack()}
		}
	}()
	return g.serve(r)
}
