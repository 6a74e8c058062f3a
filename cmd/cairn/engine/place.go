package engine

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/cairn-storage/cairn"
)

// sftpPrefix begins the addresses of nodes that the native transport reaches.
const sftpPrefix = "sftp://"

// place is an sftp:// address, taken apart.
type place struct {
	user, address string // host or host:port
	path          string // absolute, or below the account's home
}

// sftpPlace reads sftp://user@host:port/path; a path that begins with /~/ is
// below the account's home. It never repeats what may be a password.
func sftpPlace(remote string) (place, error) {
	bad := func(why string) (place, error) {
		return place{}, fmt.Errorf("remote: %s; write sftp://user@host:port/path: %w", why, cairn.ErrInvalid)
	}
	u, err := url.Parse(remote)
	if err != nil {
		return bad("the address does not parse")
	}
	if _, set := u.User.Password(); set {
		return bad("a password does not belong in the address, use --password-file")
	}
	switch {
	case u.User == nil || u.User.Username() == "":
		return bad("the user is missing")
	case u.Hostname() == "":
		return bad("the host is missing")
	case u.RawQuery != "" || u.Fragment != "":
		return bad("\"?\" and \"#\" do not belong in the address")
	}
	p := place{user: u.User.Username(), address: u.Host, path: u.Path}
	if below, ok := strings.CutPrefix(p.path, "/~/"); ok {
		p.path = below
	}
	if p.path == "" {
		return bad("the path is missing")
	}
	return p, nil
}

func isSFTP(remote string) bool { return strings.HasPrefix(remote, sftpPrefix) }

// kindOf is the transport in a word.
func kindOf(remote string) string {
	kind, _, _ := strings.Cut(remote, ":")
	kind, _, _ = strings.Cut(kind, ",")
	return kind
}
