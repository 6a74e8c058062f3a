package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
	"github.com/cairn-storage/cairn/config"
	"golang.org/x/term"
)

// newPassphrase is one that locks a file to be made: of a file, or typed twice;
// empty where neither is wanted.
func newPassphrase(ctx context.Context, e *env, ask bool, file string) (string, error) {
	if file == "" && !ask {
		return "", nil
	}
	p, err := readPassphrase(ctx, e, file, "Passphrase for the owner's identity: ")
	if err != nil {
		return "", err
	}
	if err := engine.CheckPassphrase(p); err != nil {
		return "", err
	}
	if file != "" {
		return p, nil
	}
	again, err := e.askSecret(ctx, "Once more: ")
	if err != nil {
		return "", err
	}
	if again != p {
		return "", fmt.Errorf("the two passphrases differ; nothing was made: %w", cairn.ErrInvalid)
	}
	return p, nil
}

// readPassphrase is the passphrase in file, or one that a person types.
func readPassphrase(ctx context.Context, e *env, file, prompt string) (string, error) {
	if file == "" {
		return e.askSecret(ctx, prompt)
	}
	name, err := filepath.Abs(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w: %w", file, err, cairn.ErrInvalid)
	}
	b, err := config.ReadSecret(name)
	if err != nil {
		return "", fmt.Errorf("--passphrase-file: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// askSecret is what a person types without it being shown; ErrInvalid where
// nobody is there.
func (e *env) askSecret(ctx context.Context, prompt string) (string, error) {
	if !e.person || e.secret == nil {
		return "", fmt.Errorf("a passphrase is needed and nobody can be asked: give --passphrase-file FILE: %w", cairn.ErrInvalid)
	}
	e.endProgress()
	fmt.Fprint(e.err, prompt)
	text, err := e.secret(ctx)
	fmt.Fprintln(e.err)
	return text, err
}

// askTerminal reads a line from the terminal without showing it. When ctx ends
// the terminal is set back and the question left standing, as env.ask does.
func askTerminal(ctx context.Context) (string, error) {
	fd := int(os.Stdin.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("terminal: %w: %w", err, cairn.ErrUnavailable)
	}
	type typed struct {
		text []byte
		err  error
	}
	answer := make(chan typed, 1)
	go func() {
		b, err := term.ReadPassword(fd)
		answer <- typed{b, err}
	}()
	select {
	case a := <-answer:
		if a.err != nil {
			return "", fmt.Errorf("terminal: %w: %w", a.err, cairn.ErrInvalid)
		}
		return string(a.text), nil
	case <-ctx.Done():
		_ = term.Restore(fd, before) // else what is typed next would not show
		return "", ctx.Err()
	}
}
