package demo

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/cairn-storage/cairn/admin"
)

// watch is what answers at the admin address: health, metrics and status.
func (d *demo) watch() (*admin.Server, error) {
	return admin.New(admin.Config{
		Status:   func(ctx context.Context) (any, error) { return d.engine.Status(ctx) },
		Healthy:  d.healthy,
		Page:     d.page,
		Gatherer: d.metrics,
		Log:      d.log,
	})
}

// healthy is nil while the store answers; nodes may be down.
func (d *demo) healthy(ctx context.Context) error {
	_, err := d.engine.Store.Bucket(ctx, bucket)
	return err
}

func (d *demo) page(ctx context.Context, w io.Writer) error {
	s, err := d.engine.Status(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s: %s\n%s\n", strings.ToUpper(s.State), s.Summary, strings.Join(s.Wrong, "\n"))
	return err
}
