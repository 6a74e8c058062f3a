package netfault_test

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairn-storage/cairn/internal/netfault"
)

// TestALineIsLateAndNotNarrow: whatever is under way, each byte takes half a
// turn, and all arrive in order.
func TestALineIsLateAndNotNarrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := netfault.NewLine(2 * time.Second)
		defer l.Close()
		ended := make(chan error, 1)
		go func() {
			c, err := l.Accept()
			if err == nil {
				_, err = io.Copy(c, c)
			}
			ended <- err
		}()
		c, err := l.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		want := bytes.Repeat([]byte("question"), 1<<17)
		for part := want; len(part) > 0; part = part[1<<16:] {
			if _, err := c.Write(part[:1<<16]); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("writing took %v", took)
		}
		l.SetTurn(time.Hour) // only for what is written later
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("other bytes came back: %v", err)
		}
		if took, want := time.Since(began), time.Second+time.Hour/2; took != want {
			t.Errorf("the answer, written after the change, took %v, want %v", took, want)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Errorf("the other end: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := l.Dial(t.Context()); err == nil {
			t.Error("a closed line was dialled")
		}
	})
}
