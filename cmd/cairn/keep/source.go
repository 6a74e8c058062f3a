package keep

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
)

// open begins to read what k keeps. A reader of a command ends cleanly only
// when the command did, so that half a dump is never kept.
func open(ctx context.Context, k config.Keep, limit time.Duration) (io.ReadCloser, error) {
	if k.File != "" {
		return openFile(k.File)
	}
	return start(ctx, k.Command, limit)
}

func openFile(name string) (io.ReadCloser, error) {
	// A look before opening: opening a pipe would wait for its writer.
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file: %w", name, cairn.ErrInvalid)
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(name)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%s: %w", name, cairn.ErrNotExist)
	case errors.Is(err, os.ErrPermission):
		return nil, fmt.Errorf("%s cannot be read by the gateway: %w", name, cairn.ErrDenied)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", err, cairn.ErrUnavailable)
	}
	return f, nil
}

// same reports whether the file has the bytes that o has.
func same(o cairn.Object, name string) bool {
	f, err := openFile(name)
	if err != nil {
		return false
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return false
	}
	return slices.Contains(o.Checksum, cairn.Checksum{Algorithm: checksum, Value: base64.StdEncoding.EncodeToString(h.Sum(nil))})
}

// endPatience is how long a command that was told to end may take to do so.
const endPatience = 10 * time.Second

// command is a running one, read from.
type command struct {
	*exec.Cmd
	ctx    context.Context // ends the command
	cancel context.CancelFunc
	out    io.Reader
	said   tail // on its error output
	read   int64
	ended  error // io.EOF or what went wrong; nil while it runs
}

func start(ctx context.Context, argv []string, limit time.Duration) (*command, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it took more than %v: %w", limit, cairn.ErrUnavailable))
	c := &command{Cmd: exec.CommandContext(ctx, argv[0], argv[1:]...), ctx: ctx, cancel: cancel}
	c.Stderr = &c.said
	c.WaitDelay = endPatience
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	var err error
	if c.out, err = c.StdoutPipe(); err == nil {
		err = c.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("command %s: %w: %w", argv[0], err, cairn.ErrUnavailable)
	}
	return c, nil
}

// Read reads the output; its end is io.EOF only when the command said that all
// went well.
func (c *command) Read(p []byte) (int, error) {
	if c.ended != nil {
		return 0, c.ended
	}
	n, err := c.out.Read(p)
	c.read += int64(n)
	if err == nil {
		return n, nil
	}
	c.ended = c.end(err)
	return n, c.ended
}

func (c *command) end(read error) error {
	err := c.Wait()
	switch cause := context.Cause(c.ctx); {
	case cause != nil:
		err = cause
	case err == nil && read != io.EOF:
		err = read
	case err == nil && c.read == 0:
		err = errors.New("it wrote nothing")
	case err == nil:
		return io.EOF
	}
	if text := c.said.String(); text != "" {
		return fmt.Errorf("command %s: %w (%s): %w", c.Args[0], err, text, cairn.ErrUnavailable)
	}
	return fmt.Errorf("command %s: %w: %w", c.Args[0], err, cairn.ErrUnavailable)
}

// Close ends a command that still runs and waits for it.
func (c *command) Close() error {
	c.cancel()
	if c.ended == nil {
		_ = c.Wait() // it was told to end
		c.ended = os.ErrClosed
	}
	return nil
}

// tail keeps the end of what was written to it.
type tail struct{ b []byte }

// maxTail is what an error repeats of a command's own words, bytes.
const maxTail = 300

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p[max(0, len(p)-maxTail):]...)
	t.b = t.b[max(0, len(t.b)-maxTail):]
	return len(p), nil
}

// String is one line.
func (t *tail) String() string {
	return strings.Join(strings.Fields(string(bytes.ToValidUTF8(t.b, nil))), " ")
}
