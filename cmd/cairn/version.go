package main

import (
	"context"
	"runtime"
	"runtime/debug"
)

func versionVerb() verb {
	return verb{name: "version", short: "which cairn this is", try: `cairn version --json`, run: runVersion}
}

// versionInfo says which cairn this is.
type versionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Format  int    `json:"format"` // of what it writes to nodes
	Go      string `json:"go"`
	System  string `json:"system"`
}

func version() versionInfo {
	out := versionInfo{Version: "devel", Format: 1, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return out
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		out.Version = v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			out.Commit = s.Value
		}
	}
	return out
}

func runVersion(_ context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	if _, err := f.parse(args, 0, 0); err != nil {
		return err
	}
	out := version()
	if f.json {
		return e.json(out)
	}
	e.printf("cairn %s, format %d, %s, %s\n", out.Version, out.Format, out.Go, out.System)
	return nil
}
