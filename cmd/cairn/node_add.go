package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/backends/sftp"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/config"
)

func nodeAddVerb() verb {
	return verb{
		name: "node add", args: "REMOTE", short: "lend the store space: SFTP, a local disk, an rclone remote",
		usage: `
REMOTE is sftp://user@host:port/path or local:/path. The directory is
made, measured and held to the contract that every node keeps, then marked and recorded.

  --name NAME            a-z, 0-9 and hyphens (from the address)
  --operator WHO         the person whose it is: the failure domain (the name)
  --site PLACE           where it stands
  --capacity SIZE        how much may be used, such as 900G (what the node says is free)
  --host-key SHA256:...  the SSH host key, as the operator tells it
  --key-file FILE        SSH private key to log in with (the gateway's own key)
  --password-file FILE   or a password; - reads either from the input
  --traffic SIZE         what background work may move to and from it a month, such as 300G
  --hours TIMES          when background work may use it, such as 22:00-07:00
  --yes                  trust the host key that is shown, ask nothing
  --no-checks            measure nothing, for a node that was checked before`,
		try: `cairn node add sftp://u4281-sub3@u4281.your-storagebox.de:23/cairn --operator carol --capacity 900G --key-file /run/secrets/carol`,
		run: runNodeAdd,
	}
}

func addNode() operation[engine.NodeSpec, engine.NodeReport] {
	return operation[engine.NodeSpec, engine.NodeReport]{"node add", func(ctx context.Context, e *engine.Engine, s engine.NodeSpec, report progress) (engine.NodeReport, error) {
		return e.AddNode(ctx, s, report.text)
	}}
}

func runNodeAdd(ctx context.Context, e *env, v verb, args []string) error {
	f := newFlags(e, v)
	var s engine.NodeSpec
	var capacity size
	f.StringVar(&s.Name, "name", "", "")
	f.StringVar(&s.Operator, "operator", "", "")
	f.StringVar(&s.Site, "site", "", "")
	f.Var(&capacity, "capacity", "")
	f.StringVar(&s.HostKey, "host-key", "", "")
	keyFile := f.String("key-file", "", "")
	passwordFile := f.String("password-file", "", "")
	f.BoolVar(&s.AcceptNew, "yes", false, "")
	f.BoolVar(&s.SkipChecks, "no-checks", false, "")
	traffic := f.String("traffic", "", "")
	hours := f.String("hours", "", "")
	rest, err := f.parse(args, 1, 1)
	if err != nil {
		return err
	}
	if s.Option, err = engine.NodeOptions(*traffic, *hours); err != nil {
		return err
	}
	s.Remote, s.Capacity = rest[0], uint64(capacity)
	if s.Name == "" {
		s.Name = nameFrom(s.Remote, s.Operator)
	}
	login, err := readLogin(e, *keyFile, *passwordFile)
	if err != nil {
		return err
	}
	s.Key, s.Password = login.Key, login.Password
	if err := compareHostKey(ctx, e, &s); err != nil {
		return err
	}
	out, err := addNode().do(ctx, f, s)
	if err != nil {
		return err
	}
	if f.json {
		return e.json(out)
	}
	if !s.SkipChecks {
		printMeasured(e, out)
	}
	printFleet(e, "Added "+out.Name+".", out.Fleet)
	return nil
}

// readLogin reads secrets on the machine where the verb was typed; "-" is the
// input, for one of the two.
func readLogin(e *env, keyFile, passwordFile string) (l engine.Login, err error) {
	var typed string
	if keyFile == "-" || passwordFile == "-" {
		b, err := io.ReadAll(io.LimitReader(e.in, config.MaxSecret))
		if err != nil {
			return l, fmt.Errorf("secret on the input: %w: %w", err, cairn.ErrInvalid)
		}
		if typed = string(b); strings.TrimSpace(typed) == "" {
			return l, fmt.Errorf("secret on the input: there is none: %w", cairn.ErrInvalid)
		}
	}
	file := func(name string) (string, error) {
		if name == "" || name == "-" {
			return "", nil
		}
		return absolute(name)
	}
	key, err := file(keyFile)
	if err != nil {
		return l, err
	}
	password, err := file(passwordFile)
	if err != nil {
		return l, err
	}
	if l, err = engine.ReadLogin(key, password); err != nil {
		return l, err
	}
	switch {
	case keyFile == "-" && passwordFile == "-":
		return l, fmt.Errorf("only one of --key-file and --password-file can be the input: %w", cairn.ErrInvalid)
	case keyFile == "-":
		l.Key = typed
	case passwordFile == "-":
		l.Password = strings.TrimRight(typed, "\r\n")
	}
	return l, nil
}

// compareHostKey asks a person about a host key that nobody pinned.
func compareHostKey(ctx context.Context, e *env, s *engine.NodeSpec) error {
	if s.HostKey != "" || s.AcceptNew || !e.person || !strings.HasPrefix(s.Remote, "sftp://") {
		return nil
	}
	u, err := url.Parse(s.Remote)
	if err != nil || u.Hostname() == "" {
		return nil // the engine says what is wrong with it
	}
	// A server that accepts and says nothing must not hold a person up.
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if s.HostKey, err = sftp.Probe(ctx, u.Host); err != nil {
		return fmt.Errorf("%s: %w", u.Host, err)
	}
	if e.ask(ctx, fmt.Sprintf("host key   %s is new.  Compare it with what the operator says.  Trust it?", s.HostKey)) {
		return nil
	}
	return fmt.Errorf("host key %s of %s is not trusted; nothing was done: %w", s.HostKey, u.Host, cairn.ErrDenied)
}

// nameFrom makes a name of what is known of a node.
func nameFrom(remote, operator string) string {
	from := operator
	if from == "" {
		from = path.Base(strings.TrimRight(remote, "/"))
		if u, err := url.Parse(remote); err == nil && u.Host != "" {
			from = u.Hostname()
		}
	}
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, from)
	return strings.Trim(name[:min(len(name), 63)], "-")
}

func printMeasured(e *env, r engine.NodeReport) {
	if r.HostKey != "" {
		e.printf("  host key   %s\n", r.HostKey)
	}
	m := r.Measured
	e.printf("  measured   %s · %v · put 4 MiB %.2f s · range 64 KiB %d ms · atomic rename %s · fsync %s · contract %d/%d\n", m.Kind,
		m.RTT.Round(100*time.Microsecond), m.Put.Seconds(), m.Range.Milliseconds(), yesNo(m.AtomicRename), yesNo(m.Fsync), m.Passed(), m.Of)
	space := "not told by the node: give --capacity"
	if m.Known {
		space = fmt.Sprintf("%s free of %s", bytesText(m.Free), bytesText(m.Total))
	}
	e.printf("  space      %s\n", space)
	for _, c := range m.Checks {
		if !c.OK {
			e.printf("  FAIL       %s: %s\n", c.Name, c.Why)
		}
	}
}

func printFleet(e *env, what string, f engine.FleetReport) {
	e.printf("%s  %s of %s", what, count(int64(f.Nodes), "node"), count(int64(f.Operators), "operator"))
	if f.Coding == "" {
		e.printf("; none takes shards: objects stay on this disk\n")
		return
	}
	e.printf(": new packs %s", f.Coding)
	if f.Before != "" && f.Before != f.Coding {
		e.printf(" (were %s)", f.Before)
	}
	e.printf(", %s usable\n", bytesText(f.Usable))
	if len(f.Fatal) > 0 {
		e.printf("The loss of %s alone would lose packs: add nodes of other operators\n", strings.Join(f.Fatal, " or of "))
	}
}
