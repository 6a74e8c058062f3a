package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Exit statuses by the class of the error, as the help of the program has them.
const (
	ExitBug          = 1
	ExitInvalid      = 2
	ExitPrecondition = 3
	ExitNotExist     = 4
	ExitUnavailable  = 6
	ExitFull         = 7
	ExitDenied       = 8
)

// Result is how a verb ended.
type Result struct {
	Status         int
	Stdout, Stderr string
}

// verbLimit is how long one verb may take; a node that hangs is given up well
// before, and those that look at a whole store of the long run are done.
const verbLimit = 5 * time.Minute

// RunVerb runs one verb of the program to its end, without a terminal.
func RunVerb(ctx context.Context, program string, args ...string) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, verbLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	r := Result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), errors.Join(err, ctx.Err()), r.Stderr)
	}
	return r, err
}

// Clear returns an error unless r is a refusal as people want it: the status of
// its class, one line that says the wanted words, no stack, no panic.
func (r Result) Clear(status int, says ...string) error {
	line := strings.TrimSpace(r.Stderr)
	switch {
	case r.Status != status:
		return fmt.Errorf("exit status %d, want %d; stderr: %s", r.Status, status, line)
	case line == "" || strings.Contains(line, "\n"):
		return fmt.Errorf("want one line on stderr, got %q", line)
	case strings.Contains(line, "panic") || strings.Contains(line, "goroutine "):
		return fmt.Errorf("that is for programmers: %q", line)
	}
	for _, words := range says {
		if !strings.Contains(line, words) {
			return fmt.Errorf("%q does not say %q", line, words)
		}
	}
	return nil
}
