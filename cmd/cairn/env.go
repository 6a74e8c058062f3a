package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/cairn-storage/cairn/internal/durable"
)

// env is what a verb has around it.
type env struct {
	in       io.Reader
	out, err io.Writer
	person   bool // somebody reads err and can answer on in
	getenv   func(string) string
	// secret asks a person for what must not be shown; nil where nobody can be
	// asked.
	secret  func(ctx context.Context) (string, error)
	columns func() int // of the terminal, 0 where it does not say; nil for no matter
	process bool       // this is a process of its own, whose limits may be set
	// patience is how long a gateway may take from its lock to its socket, and
	// a verb to give the store back.
	patience time.Duration
	// hung is how long the disk or the gateway may take before a verb that must
	// answer soon goes on without.
	hung time.Duration

	fs durable.FS // the disk, where it is another than this machine's; for tests

	again string // what a person who interrupts the verb is told, set by dispatch

	mu    sync.Mutex
	said  time.Time // when the last line of progress was written; guarded by mu
	width int       // of the line of progress that stands on the terminal; guarded by mu
}

// disk is where the store stands.
func (e *env) disk() durable.FS {
	if e.fs != nil {
		return e.fs
	}
	return durable.OS()
}

// printf writes to the output of the verb.
func (e *env) printf(format string, args ...any) {
	fmt.Fprintf(e.out, format, args...)
}

// json writes v as one line.
func (e *env) json(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = e.out.Write(append(b, '\n'))
	return err
}

// progress shows how far a long verb is: on a terminal one line that changes,
// elsewhere one line a minute.
func (e *env) progress(text string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.person {
		shown := []rune(text)
		if e.columns != nil { // a line that wraps cannot be written over
			if most := e.columns() - 1; most > 0 && len(shown) > most {
				shown = shown[:most]
			}
		}
		fmt.Fprintf(e.err, "\r%s%*s", string(shown), max(e.width-len(shown), 0), "")
		e.width = max(e.width, len(shown))
		return
	}
	now := time.Now()
	if e.said.IsZero() {
		e.said = now // what is over within a minute needs no words
	}
	if now.Sub(e.said) >= time.Minute {
		fmt.Fprintln(e.err, text)
		e.said = now
	}
}

// endProgress wipes the line that progress left on the terminal.
func (e *env) endProgress() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.width > 0 {
		fmt.Fprintf(e.err, "\r%*s\r", e.width, "")
		e.width = 0
	}
}

// ask puts a question to a person; anything but yes is no, and so is nobody.
// When ctx ends the question is left standing: reading a terminal cannot be
// interrupted, and the process is about to end.
func (e *env) ask(ctx context.Context, question string) bool {
	if !e.person {
		return false
	}
	e.endProgress()
	fmt.Fprint(e.err, question, " [y/N] ")
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(e.in).ReadString('\n')
		answer <- line
	}()
	select {
	case line := <-answer:
		line = strings.ToLower(strings.TrimSpace(line))
		return line == "y" || line == "yes"
	case <-ctx.Done():
		return false
	}
}
