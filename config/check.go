package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
)

var (
	nodeName   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	regionName = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
)

// Check returns ErrInvalid with one line for each key whose value cannot work.
// It looks at no file but does refuse secrets under /nix/store by their path.
func (c Config) Check() error {
	var errs []error
	add := func(key string, err error) { errs = append(errs, within(key, err)...) }
	add("dir", absolute(c.Dir))
	add("identity", secretPath(c.Identity))
	add("memory", between(c.Memory, 32*MiB, PiB))
	add("kit", c.checkKit())
	c.S3.check(add)
	if c.Admin.Listen != "" {
		add("admin.listen", listener(c.Admin.Listen))
		if c.Admin.Listen == c.S3.Listen && !strings.HasSuffix(c.Admin.Listen, ":0") {
			add("admin.listen", invalid("%q is taken by s3.listen", c.Admin.Listen))
		}
	}
	add("admin.socket", socket(c.Admin.Socket))
	if !c.Store.Coding.Auto() {
		add("store.coding", cairn.Coding(c.Store.Coding).Check())
	}
	add("store.checkpoint", between(c.Store.Checkpoint, Duration(time.Minute), Duration(7*day)))
	add("store.flush.max", between(c.Store.Flush.Max, Duration(100*time.Millisecond), Duration(day)))
	add("stage.limit", between(c.Stage.Limit, 64*MiB, PiB))
	add("stage.settle", between(c.Stage.Settle, 0, Duration(7*day)))
	add("cache.dir", absolute(c.Cache.Dir))
	add("cache.limit", between(c.Cache.Limit, 0, PiB))
	add("cache.memory", between(c.Cache.Memory, 0, PiB))
	add("scrub.every", between(c.Scrub.Every, Duration(day), Duration(365*day)))
	add("scrub.listing", between(c.Scrub.Listing, Duration(time.Minute), Duration(30*day)))
	add("repair.after", between(c.Repair.After, Duration(10*time.Minute), Duration(30*day)))
	for i, n := range c.Nodes {
		add(entry("node", i, n.Name), n.Check())
		for _, m := range c.Nodes[:i] {
			if m.Name == n.Name && n.Name != "" {
				add(entry("node", i, n.Name), invalid("two nodes have this name"))
				break
			}
		}
	}
	for i, b := range c.Buckets {
		add(entry("bucket", i, b.Name), cairn.CheckBucketName(b.Name))
		for _, a := range c.Buckets[:i] {
			if a.Name == b.Name {
				add(entry("bucket", i, b.Name), invalid("two buckets have this name"))
				break
			}
		}
	}
	for i, k := range c.Keep {
		add(entry("keep", i, k.Name), k.check(c.Keep[:i]))
	}
	return errors.Join(errs...)
}

// Check returns ErrInvalid with one line for each key of the node that cannot
// work; it does not connect.
func (n Node) Check() error {
	var errs []error
	add := func(key string, err error) { errs = append(errs, within(key, err)...) }
	if !nodeName.MatchString(n.Name) {
		add("name", invalid("%q: use 1 to 63 of a-z, 0-9 and hyphens", n.Name))
	}
	for _, text := range []struct{ key, value string }{{"operator", n.Operator}, {"site", n.Site}} {
		if len(text.value) > 64 || strings.ContainsFunc(text.value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			add(text.key, invalid("%q: at most 64 bytes without control characters", text.value))
		}
	}
	sftp, err := remote(n.Remote)
	add("remote", err)
	if sftp {
		if n.HostKey == "" {
			add("host_key", invalid("an sftp node needs its host key pinned, such as \"SHA256:XqzK...\": `ssh-keyscan HOST | ssh-keygen -lf -` prints it"))
		}
	}
	if n.HostKey != "" {
		add("host_key", hostKey(n.HostKey))
	}
	if n.KeyFile != "" {
		add("key_file", secretPath(n.KeyFile))
	}
	if n.PasswordFile != "" {
		add("password_file", secretPath(n.PasswordFile))
	}
	add("capacity", between(n.Capacity, 0, 1024*PiB))
	if n.Traffic != "" {
		_, err := ParseTraffic(n.Traffic)
		add("traffic", err)
	}
	if _, err := ParseHours(n.Hours); err != nil {
		add("hours", err)
	}
	return errors.Join(errs...)
}

// within puts where before each of the errors that Join made one.
func within(where string, err error) []error {
	if err == nil {
		return nil
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	lines := make([]error, len(all))
	for i, err := range all {
		lines[i] = fmt.Errorf("%s: %w", where, err)
	}
	return lines
}

func entry(table string, i int, name string) string {
	if name == "" {
		return fmt.Sprintf("%s %d", table, i+1)
	}
	return table + " " + name
}

func invalid(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, cairn.ErrInvalid)...)
}

func absolute(path string) error {
	if !filepath.IsAbs(path) {
		return invalid("%q is not an absolute path", path)
	}
	return nil
}

// maxSocketPath is what Linux and the BSDs both take for a unix socket.
const maxSocketPath = 103

func socket(path string) error {
	if len(path) > maxSocketPath {
		return invalid("%q has %d bytes, a socket's path at most %d", path, len(path), maxSocketPath)
	}
	return absolute(path)
}

func listener(address string) error {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return socket(path)
	}
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return invalid("%q: write host:port such as \"127.0.0.1:9000\", or \"unix:/run/cairn/s3.sock\"", address)
	}
	return nil
}

func publicURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil ||
		u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return invalid("%q: write scheme and host only, such as \"https://cache.example.org\"", text)
	}
	return nil
}

// remote checks the form of a node's address and reports whether it is SFTP.
func remote(text string) (sftp bool, err error) {
	bad := func(why string) error {
		return invalid("%s: write \"sftp://user@host:port/path\", \"local:/path\" or an rclone remote \"name:path\"", why)
	}
	if strings.Contains(text, "://") {
		u, err := url.Parse(text)
		switch {
		case err != nil:
			// The text may hold a password: it is not repeated.
			return false, bad("the address does not parse")
		case u.Scheme != "sftp":
			return false, bad(fmt.Sprintf("scheme %q is unknown", u.Scheme))
		case u.User == nil || u.User.Username() == "":
			return true, bad("the user is missing")
		case hasPassword(u):
			return true, invalid("a password does not belong in the address: use password_file")
		case u.Hostname() == "" || u.Path == "":
			return true, bad("host or path is missing")
		case u.RawQuery != "" || u.Fragment != "":
			return true, bad("\"?\" and \"#\" do not belong in the address")
		}
		return true, nil
	}
	scheme, rest, found := strings.Cut(text, ":")
	switch {
	case !found || scheme == "":
		return false, bad(fmt.Sprintf("%q is no address", text))
	case scheme == "local":
		return false, absolute(rest)
	}
	return false, nil
}

func hasPassword(u *url.URL) bool {
	_, set := u.User.Password()
	return set
}

func hostKey(text string) error {
	hash, ok := strings.CutPrefix(text, "SHA256:")
	sum, err := base64.RawStdEncoding.Strict().DecodeString(hash)
	if !ok || err != nil || len(sum) != 32 {
		return invalid("%q: write \"SHA256:\" and 43 characters, as ssh-keygen -l prints it", text)
	}
	return nil
}

// between works for sizes and durations alike.
func between[T interface {
	~int64
	MarshalText() ([]byte, error)
}](v, low, high T) error {
	if v >= low && v <= high {
		return nil
	}
	text := func(v T) string { b, _ := v.MarshalText(); return string(b) } // these two never fail
	return invalid("%q: from %q to %q is possible", text(v), text(low), text(high))
}
