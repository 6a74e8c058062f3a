package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
)

// systemConfig is where cairn.toml is looked for first, then here.
const (
	systemConfig = "/etc/cairn/cairn.toml"
	localConfig  = "cairn.toml"
)

// settings are those of this machine: of --config, or of the first default
// place that has a file, with --dir on top. Without any file they are the
// defaults, which needs --dir.
func (f *flags) settings() (config.Config, error) {
	path, c := f.config, config.Default()
	if path == "" {
		path = firstFile(systemConfig, localConfig)
	}
	var err error
	switch {
	case path != "":
		c, err = config.Load(path)
	case f.dir == "":
		return c, fmt.Errorf("no cairn.toml: neither %s nor ./%s is there; give --config or --dir, or begin with `cairn init`: %w", systemConfig, localConfig, cairn.ErrNotExist)
	}
	if err != nil {
		return c, manyErrors{err}
	}
	return f.moved(c)
}

// moved is c with the directory of --dir, and with it what lies below it
// unless it was put elsewhere.
func (f *flags) moved(c config.Config) (config.Config, error) {
	if f.dir == "" {
		return c.Resolve(), nil
	}
	dir, err := filepath.Abs(f.dir)
	if err != nil {
		return c, fmt.Errorf("--dir %s: %w: %w", f.dir, err, cairn.ErrInvalid)
	}
	byDefault := config.Config{Dir: c.Dir}.Resolve()
	for _, p := range []struct {
		set *string
		was string
	}{{&c.Identity, byDefault.Identity}, {&c.Admin.Socket, byDefault.Admin.Socket}, {&c.Cache.Dir, byDefault.Cache.Dir}} {
		if *p.set == p.was {
			*p.set = ""
		}
	}
	c.Dir = dir
	c = c.Resolve()
	if err := c.Check(); err != nil {
		return c, fmt.Errorf("--dir %s: %w", f.dir, err)
	}
	return c, nil
}

func firstFile(names ...string) string {
	for _, name := range names {
		if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
			return name // one that cannot be read is an error worth telling
		}
	}
	return ""
}

// logger logs to the error output at the level of --log, or byDefault.
func (f *flags) logger(byDefault string) (*slog.Logger, error) {
	level := f.log
	if level == "" {
		level = byDefault
	}
	if level == "off" {
		return slog.New(slog.DiscardHandler), nil
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil || strings.ContainsAny(level, "+-") {
		return nil, fmt.Errorf("--log %q: use off, debug, info, warn or error: %w", f.log, cairn.ErrInvalid)
	}
	return slog.New(slog.NewTextHandler(f.e.err, &slog.HandlerOptions{Level: l})), nil
}
