package durable

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/cairn-storage/cairn"
)

// lockEnv names the file that a second process, this test binary again, is to
// lock.
const lockEnv = "CAIRN_TEST_LOCK"

// TestLockHolder is the second process; in the first it has nothing to do.
func TestLockHolder(t *testing.T) {
	name := os.Getenv(lockEnv)
	if name == "" {
		t.Skip("run by TestLockExcludesOtherProcesses")
	}
	if _, err := OS().Lock(name); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stdout.WriteString("locked\n"); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until the first process closes it or kills us
}

func TestLockExcludesOtherProcesses(t *testing.T) {
	name := t.TempDir() + "/lock"
	for _, end := range []string{"exits", "is killed"} {
		t.Run("until the holder "+end, func(t *testing.T) {
			other := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLockHolder$")
			other.Env = append(os.Environ(), lockEnv+"="+name)
			stdin, err := other.StdinPipe()
			must(t, err)
			stdout, err := other.StdoutPipe()
			must(t, err)
			must(t, other.Start())
			line, err := bufio.NewReader(stdout).ReadString('\n')
			if err != nil || line != "locked\n" {
				t.Fatalf("holder says %q, %v", line, err)
			}
			_, err = OS().Lock(name)
			if want := "lock " + name + ": held by another process"; !errors.Is(err, cairn.ErrUnavailable) || err.Error() != want {
				t.Errorf("Lock while held: %v, want %s", err, want)
			}
			if end == "is killed" {
				must(t, other.Process.Kill())
			}
			must(t, stdin.Close())
			if err := other.Wait(); err != nil && end == "exits" {
				t.Error(err)
			}
			l, err := OS().Lock(name)
			must(t, err)
			must(t, l.Close())
		})
	}
}
