package observed

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
)

// The file is one line: the milliseconds observed, in decimal.

// mostFile bounds it, bytes.
const mostFile = 64

// mostTotal bounds what is believed of it: a century.
const mostTotal = 100 * 365 * 24 * time.Hour

// read returns what the file says, zero where nothing can be read from it.
func read(fs durable.FS, name string) (time.Duration, error) {
	b, err := durable.ReadFile(fs, name, mostFile)
	if errors.Is(err, cairn.ErrNotExist) || errors.Is(err, cairn.ErrCorrupt) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	line, _ := strings.CutSuffix(string(b), "\n")
	ms, err := strconv.ParseInt(line, 10, 64)
	if err != nil || ms < 0 || ms > mostTotal.Milliseconds() {
		return 0, nil
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// keep writes the file where it is behind by least or more.
func (c *Clock) keep(least time.Duration) error {
	c.keeping.Lock()
	defer c.keeping.Unlock()
	now := c.Now()
	if now == c.kept || now-c.kept < least {
		return nil
	}
	if err := durable.WriteFile(c.fs, c.name, []byte(strconv.FormatInt(now.Milliseconds(), 10)+"\n")); err != nil {
		return err
	}
	c.kept = now
	return nil
}
