package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/config"
)

// common are the flags that every verb has.
type common struct {
	config string
	dir    string
	json   bool
	log    string
}

// flags is the flag set of one verb, with its words.
type flags struct {
	*flag.FlagSet
	common
	v         verb
	e         *env
	inGateway bool // the operation was carried out inside a running gateway
	waits     awaited
}

// newFlags begins the flag set of v.
func newFlags(e *env, v verb) *flags {
	f := &flags{FlagSet: flag.NewFlagSet(v.name, flag.ContinueOnError), v: v, e: e}
	f.SetOutput(io.Discard) // what goes wrong is said once, by run
	f.Usage = func() {}
	f.StringVar(&f.config, "config", "", "")
	f.StringVar(&f.dir, "dir", "", "")
	f.BoolVar(&f.json, "json", false, "")
	f.StringVar(&f.log, "log", "", "")
	return f
}

// parse reads args, flags and positionals in any order, and returns the
// positionals, of which there must be least to most.
func (f *flags) parse(args []string, least, most int) ([]string, error) {
	var rest []string
	for {
		if err := f.FlagSet.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				f.e.printf("%s", f.v.help())
				return nil, err
			}
			return nil, usageError(f.v, "%v", err)
		}
		used := len(args) - f.NArg()
		ended := used > 0 && args[used-1] == "--"
		args = f.Args()
		if ended || len(args) == 0 {
			rest = append(rest, args...)
			break
		}
		rest, args = append(rest, args[0]), args[1:]
	}
	switch {
	case len(rest) < least:
		return nil, usageError(f.v, "cairn %s needs %s", f.v.name, f.v.args)
	case len(rest) > most:
		return nil, usageError(f.v, "cairn %s does not take %q", f.v.name, rest[most])
	}
	return rest, nil
}

// given reports whether the flag was on the command line.
func (f *flags) given(name string) (given bool) {
	f.Visit(func(x *flag.Flag) { given = given || x.Name == name })
	return given
}

// text is the flag's value where it was given, else nil.
func text[T any](f *flags, name string, v *T) *T {
	if !f.given(name) {
		return nil
	}
	return v
}

// list is a flag that may be repeated.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// size is a flag with a unit.
type size config.Size

func (s *size) String() string { return config.Size(*s).String() }
func (s *size) Set(text string) error {
	v, err := config.ParseSize(text)
	if err != nil {
		return err
	}
	if v < 0 {
		return fmt.Errorf("%q: a size is not negative: %w", text, cairn.ErrInvalid)
	}
	*s = size(v)
	return nil
}
