package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/cairn-storage/cairn"
)

// maxFile bounds what is read as a configuration; a longer file is not one.
const maxFile = 1 << 20

// Load reads, resolves and checks the file. Errors are ErrNotExist, ErrDenied
// or ErrInvalid; each line of the message names the file, and the line and key
// where there is one.
func Load(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("config: %w", classed(err))
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return Config{}, fmt.Errorf("config: %w", classed(err))
	}
	if len(text) > maxFile {
		return Config{}, fmt.Errorf("%s: more than 1 MiB is no configuration: %w", path, cairn.ErrInvalid)
	}
	return Parse(path, text)
}

// Parse is Load for text in hand; name stands for the file in errors.
func Parse(name string, text []byte) (Config, error) {
	c := Default()
	if err := checkKeys(name, text); err != nil {
		return Config{}, err
	}
	err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&c)
	if err != nil {
		return Config{}, decodeError(name, err)
	}
	c = c.Resolve()
	if err := c.Check(); err != nil {
		return Config{}, errors.Join(within(name, err)...)
	}
	return c, nil
}

// checkKeys walks the file before it is decoded, so that errors can say more
// than a decoder knows: the key that was meant and an example of its value. A
// file that does not parse is left to the decoder.
func checkKeys(name string, text []byte) error {
	w := walker{name: name, all: keys()}
	var p unstable.Parser
	p.Reset(text)
	table := ""
	for p.NextExpression() {
		expr := p.Expression()
		switch expr.Kind {
		case unstable.Table:
			table = w.header(&p, expr, aTable)
		case unstable.ArrayTable:
			table = w.header(&p, expr, aList)
		case unstable.KeyValue:
			w.value(&p, expr, table)
		}
	}
	if p.Error() != nil {
		return nil
	}
	return errors.Join(w.errs...)
}

// skipped marks the inside of a table that is itself unknown: one error is
// enough.
const skipped = "\x00"

type walker struct {
	name string
	all  []keyShape
	errs []error
}

func (w *walker) fail(line int, format string, args ...any) {
	w.errs = append(w.errs, fmt.Errorf("%s:%d: %w", w.name, line, invalid(format, args...)))
}

func (w *walker) lookup(key string) (keyShape, bool) {
	for _, k := range w.all {
		if k.key == key {
			return k, true
		}
	}
	return keyShape{}, false
}

// header handles [table] and [[table]] and returns its key.
func (w *walker) header(p *unstable.Parser, expr *unstable.Node, got shape) string {
	key, line := keyOf(p, expr)
	want, ok := w.lookup(key)
	switch {
	case !ok:
		w.unknown(line, key)
		return skipped
	case want.shape != got:
		w.fail(line, "%q is %s, write %s", key, want.shape, want.example())
		return skipped
	}
	return key
}

// value handles key = value in a table, and what is inside an inline table.
func (w *walker) value(p *unstable.Parser, expr *unstable.Node, table string) {
	if table == skipped {
		return
	}
	key, line := keyOf(p, expr)
	if table != "" {
		key = table + "." + key
	}
	want, ok := w.lookup(key)
	if !ok {
		w.unknown(line, key)
		return
	}
	value := expr.Value()
	fits := false
	switch value.Kind {
	case unstable.String:
		fits = want.shape == aString || want.shape == aSize || want.shape == aDuration
	case unstable.Bool:
		fits = want.shape == aBool
	case unstable.Integer:
		fits = want.shape == aNumber
	case unstable.Array:
		fits = want.shape == someTexts && allStrings(value)
	case unstable.InlineTable:
		fits = want.shape == aTable
	}
	if !fits {
		w.fail(line, "%q is %s, write %s", key, want.shape, want.example())
		return
	}
	if value.Kind == unstable.InlineTable {
		for it := value.Children(); it.Next(); {
			w.value(p, it.Node(), key)
		}
	}
	// The decoder would find this too, but cannot name a key in an inline table.
	if err := want.read(value.Data); err != nil {
		w.errs = append(w.errs, fmt.Errorf("%s:%d: %s: %w", w.name, line, key, err))
		return
	}
	if by := byDefault(key); by != "" && isZero(want.shape, value.Data) {
		w.fail(line, "%q is %s: leave it out for %s", key, value.Data, by)
	}
}

// byDefault is what holds where a key of a list of tables is left out, and what
// its zero would be taken for: empty for all other keys, whose defaults are there
// before the file is read.
func byDefault(key string) string {
	switch key {
	case "keep.every":
		return "one hour"
	case "keep.keep":
		return "the last 3"
	case "node.capacity":
		return "what the node says it has free; a node that is to take nothing is paused: cairn node set NAME --state paused"
	}
	return ""
}

// isZero reports that a value that reads is nothing, in whatever unit.
func isZero(s shape, data []byte) bool {
	switch text := string(data); s {
	case aSize:
		n, err := ParseSize(text)
		return err == nil && n == 0
	case aDuration:
		d, err := ParseDuration(text)
		return err == nil && d == 0
	case aNumber:
		n, err := strconv.ParseInt(text, 0, 64)
		return err == nil && n == 0
	}
	return false
}

func allStrings(array *unstable.Node) bool {
	for it := array.Children(); it.Next(); {
		if k := it.Node().Kind; k != unstable.String && k != unstable.Comment {
			return false
		}
	}
	return true
}

func (w *walker) unknown(line int, key string) {
	if near := nearest(key, w.all); near != "" {
		w.fail(line, "unknown key %q, did you mean %q?", key, near)
		return
	}
	w.fail(line, "unknown key %q", key)
}

// keyOf is the dotted key of an expression and the line it begins on.
func keyOf(p *unstable.Parser, expr *unstable.Node) (key string, line int) {
	var parts []string
	for it := expr.Key(); it.Next(); {
		n := it.Node()
		if len(parts) == 0 {
			line = p.Shape(n.Raw).Start.Line
		}
		parts = append(parts, string(n.Data))
	}
	return strings.Join(parts, "."), line
}

// decodeError gives an error of the decoder the file and the line; what is
// left to it is syntax and keys that stand twice.
func decodeError(name string, err error) error {
	var de *toml.DecodeError
	if !errors.As(err, &de) {
		return fmt.Errorf("%s: %w: %w", name, err, cairn.ErrInvalid)
	}
	line, _ := de.Position()
	return fmt.Errorf("%s:%d: %s: %w", name, line, strings.TrimPrefix(de.Error(), "toml: "), cairn.ErrInvalid)
}

// classed gives an error of the file system its class.
func classed(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", err, cairn.ErrNotExist)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w", err, cairn.ErrDenied)
	}
	return fmt.Errorf("%w: %w", err, cairn.ErrInvalid)
}
