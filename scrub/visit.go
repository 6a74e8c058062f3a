package scrub

import "context"

// visit brings the few files up to date that every node must have. The error is
// nil where that was given up.
func (s *Scrub) visit(ctx context.Context) error {
	if s.c.Visit == nil {
		return nil
	}
	if err := s.c.Visit(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}
