package rclone

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rclone/rclone/fs"
	"github.com/rclone/rclone/fs/config/configmap"
	"github.com/rclone/rclone/fs/fspath"

	"github.com/cairn-storage/cairn"
)

// spec is a Config's Spec and Options, understood.
type spec struct {
	info    *fs.RegInfo
	path    string
	options *configmap.Map
}

// suited are options that we want otherwise than rclone, by backend; what the
// user sets still wins.
func suited(backend string) configmap.Simple {
	switch backend {
	case "local":
		// Nothing reads the times, and some network mounts refuse to set them.
		return configmap.Simple{"no_set_modtime": "true"}
	}
	return nil
}

func parse(text string, options map[string]string) (spec, error) {
	bad := func(format string, args ...any) (spec, error) {
		return spec{}, fmt.Errorf("address %.200q: %s: %w", hide(text), fmt.Sprintf(format, args...), cairn.ErrInvalid)
	}
	parsed, err := fspath.Parse(text)
	if err != nil {
		return bad("%v", err)
	}
	name := strings.TrimPrefix(parsed.Name, ":")
	if name == "" {
		return bad("write backend:path, such as local:/srv/disk")
	}
	info := find(name)
	if info == nil {
		return bad("there is no backend %q built in, only %s", name, strings.Join(builtIn(), ", "))
	}
	if info.Name == "local" && !filepath.IsAbs(parsed.Path) {
		return bad("the path must be absolute")
	}

	chosen := configmap.Simple{}
	for _, from := range []map[string]string{parsed.Config, options} {
		for key, value := range from {
			if info.Options.Get(key) == nil {
				// This also keeps out override.* and global.*, which change
				// rclone for every node of the process.
				return bad("backend %s has no option %q", info.Name, key)
			}
			if _, twice := chosen[key]; twice {
				return bad("option %q is set twice", key)
			}
			chosen[key] = value
		}
	}
	// Not fs.ConfigMap: it would add the environment, rclone's flags and the
	// user's rclone.conf. And no setter: a backend that wants to save
	// something into a configuration file finds none.
	below := defaults(info.Options)
	maps.Copy(below, suited(info.Name))
	m := configmap.New()
	m.AddGetter(chosen, configmap.PriorityNormal)
	m.AddGetter(below, configmap.PriorityDefault)
	path := parsed.Path
	if info.Name == "local" {
		path = filepath.Clean(path)
	}
	return spec{info: info, path: path, options: m}, nil
}

// hide cuts the options off, which may hold passwords.
func hide(text string) string {
	backend, _, _ := strings.Cut(text, ",")
	if backend == text {
		return text
	}
	return backend + ",..."
}

// find returns the backend called name, without rclone's aliases.
func find(name string) *fs.RegInfo {
	for _, info := range fs.Registry {
		if info.Name == name && !info.Hide {
			return info
		}
	}
	return nil
}

func builtIn() []string {
	var names []string
	for _, info := range fs.Registry {
		if !info.Hide {
			names = append(names, info.Name)
		}
	}
	slices.Sort(names)
	return names
}
