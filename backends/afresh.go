package backends

import "context"

// A Look is one occasion at which what a node holds is looked at anew.
type Look struct{ _ byte } // not empty: each has an address of its own

type lookKey struct{}

// Afresh begins a Look: reads with the context it returns find what the name
// leads to now. A transport that holds files open takes none for them that was
// opened for anything but this Look, since a file that was deleted, or had
// another put in its place, reads well for as long as it stays open.
func Afresh(ctx context.Context) context.Context {
	return context.WithValue(ctx, lookKey{}, &Look{})
}

// LookOf returns the Look that ctx is of, or nil: what is held open will do.
func LookOf(ctx context.Context) *Look {
	l, _ := ctx.Value(lookKey{}).(*Look)
	return l
}
