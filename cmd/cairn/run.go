package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/admin"
)

// run carries out one command line and returns the exit status.
func run(ctx context.Context, e *env, args []string) int {
	err := dispatch(ctx, e, args)
	e.endProgress()
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		again := ""
		if e.again != "" {
			again = "; " + e.again
		}
		fmt.Fprintf(e.err, "cairn: interrupted%s\n", again)
		return 130
	}
	var said saidStatus
	if errors.As(err, &said) {
		return int(said)
	}
	if err != nil {
		for _, line := range errorLines(err) {
			fmt.Fprintln(e.err, "cairn:", line)
		}
		if gone := (admin.Gone{}); e.again != "" && errors.As(err, &gone) {
			fmt.Fprintln(e.err, "cairn:", e.again)
		}
	}
	return exitStatus(err)
}

// exitStatus is the status of DESIGN's table, by class; 1 for what has none.
func exitStatus(err error) int {
	if err == nil {
		return 0
	}
	switch cairn.Class(err) {
	case cairn.ErrInvalid:
		return 2
	case cairn.ErrPrecondition:
		return 3
	case cairn.ErrNotExist:
		return 4
	case cairn.ErrCorrupt:
		return 5
	case cairn.ErrUnavailable, cairn.ErrSlowDown:
		return 6
	case cairn.ErrFull:
		return 7
	case cairn.ErrDenied:
		return 8
	case cairn.ErrLost:
		return 9
	case cairn.ErrFork:
		return 10
	}
	return 1
}

// saidStatus ends a verb with this exit status; its output said why already.
type saidStatus int

func (s saidStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// manyErrors is an error of several lines, each a fault of its own.
type manyErrors struct{ error }

func (m manyErrors) Unwrap() error { return m.error }

// errorLines is what to print of err: one line, unless it is many.
func errorLines(err error) []string {
	lines := strings.Split(err.Error(), "\n")
	var many manyErrors
	if errors.As(err, &many) {
		return lines
	}
	return []string{strings.Join(lines, "; ")}
}

// usageError is a command line that cannot be meant.
func usageError(v verb, format string, args ...any) error {
	return fmt.Errorf(format+"; see `cairn help %s`: %w", append(args, v.name, cairn.ErrInvalid)...)
}

func dispatch(ctx context.Context, e *env, args []string) error {
	if len(args) == 0 {
		e.printf("%s", overview())
		return nil
	}
	switch args[0] {
	case "-h", "-help", "--help":
		args = []string{"help"}
	case "-V", "--version":
		args = []string{"version"}
	}
	if args[0] == "help" {
		return help(e, args[1:])
	}
	v, rest, err := find(args)
	if err != nil {
		return err
	}
	e.again = v.again
	return v.run(ctx, e, v, rest)
}

// find is the verb that args begin with, and what follows it.
func find(args []string) (verb, []string, error) {
	table := verbs()
	for n := min(2, len(args)); n > 0; n-- {
		name := strings.Join(args[:n], " ")
		for _, v := range table {
			if v.name == name {
				return v, args[n:], nil
			}
		}
	}
	var of []string
	for _, v := range table {
		if group, sub, ok := strings.Cut(v.name, " "); ok && group == args[0] {
			of = append(of, sub)
		}
	}
	if len(of) > 0 {
		if len(args) > 1 && args[1] != "-h" && args[1] != "--help" {
			return verb{}, nil, fmt.Errorf("%q is no verb of cairn %s: there are %s: %w", args[1], args[0], strings.Join(of, ", "), cairn.ErrInvalid)
		}
		return verb{}, nil, fmt.Errorf("cairn %s needs one of %s; see `cairn help %s %s`: %w", args[0], strings.Join(of, ", "), args[0], of[0], cairn.ErrInvalid)
	}
	return verb{}, nil, fmt.Errorf("%q is no verb of cairn; `cairn help` lists them: %w", args[0], cairn.ErrInvalid)
}
