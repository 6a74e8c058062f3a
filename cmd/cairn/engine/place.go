package engine

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
	"github.com/cairn-storage/cairn/pack"
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
	if p.path == "" {
		return bad("the path is missing")
	}
	if below, ok := strings.CutPrefix(p.path, "/~/"); ok {
		p.path = below // which may be empty: the home itself
	}
	return p, nil
}

// check returns ErrInvalid where n cannot be a node.
func (e *Engine) check(n pack.Node) error {
	form := config.Node{Name: n.Name, Operator: n.Operator, Site: n.Site, Remote: n.Remote, HostKey: n.HostKey, Capacity: config.Size(min(n.Capacity, 1<<62))}
	if isSFTP(n.Remote) {
		if _, err := sftpPlace(n.Remote); err != nil {
			return err
		}
		form.KeyFile = e.c.File.Identity // holds the key that logs in where the node has none
		if strings.HasSuffix(n.Remote, "/") {
			form.Remote += "~/" // a server that shows just the store's directory has it as its root
		}
	}
	if err := form.Check(); err != nil {
		return fmt.Errorf("node %s: %w", n.Name, err)
	}
	return nil
}

func isSFTP(remote string) bool { return strings.HasPrefix(remote, sftpPrefix) }

// kindOf is the transport in a word.
func kindOf(remote string) string {
	kind, _, _ := strings.Cut(remote, ":")
	kind, _, _ = strings.Cut(kind, ",")
	return kind
}
