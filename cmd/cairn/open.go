package main

import (
	"context"
	"time"

	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/internal/durable"
)

// open opens the store in this process, for one verb.
func (f *flags) open(ctx context.Context, c config.Config) (*engine.Engine, error) {
	log, err := f.logger("off")
	if err != nil {
		return nil, err
	}
	fs, counts := durable.Count(f.e.disk())
	fs, calls := durable.Attend(fs)
	f.waits.set("open "+c.Dir, engine.Disk, calls)
	id, err := engine.Identity(fs, c.Dir, c.Identity)
	if err != nil {
		return nil, err
	}
	// A verb reads too little for a cache, and a gateway's cache file is best
	// left as it is.
	c.Cache.Limit = 0
	return engine.Open(ctx, engine.Config{FS: fs, Counts: counts, Calls: calls, File: c, Identity: id, Log: log})
}

// closePatience bounds the end of an engine; what is not done by then is done
// at the next start.
const closePatience = 30 * time.Second

// closeEngine ends e in order also when ctx has ended.
func closeEngine(ctx context.Context, e *engine.Engine) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer cancel()
	return e.Close(ctx)
}
