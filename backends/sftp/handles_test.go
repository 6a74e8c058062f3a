package sftp

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func heldNames(h *handles, ch *channel, names ...string) (held []string) {
	for _, n := range names {
		if e := h.get(ch, n, nil); e != nil {
			held = append(held, n)
			h.release(e, true)
		}
	}
	return held
}

func TestWhatIsHeldOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &link{}
		ch := &channel{l: l}
		h := &handles{max: 3}
		hold := func(name string, epoch uint64) {
			h.release(h.add(&handle{name: name, ch: ch}, epoch), true)
		}
		check := func(why string, want ...string) {
			t.Helper()
			got := heldNames(h, ch, "a/1", "a/2", "a/3", "a/4", "top")
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s: held %v, want %v", why, got, want)
			}
		}
		for _, name := range []string{"a/1", "a/2", "a/3", "top"} {
			hold(name, h.now())
		}
		check("three fit, files at the top are not held", "a/1", "a/2", "a/3")
		heldNames(h, ch, "a/1")
		hold("a/4", h.now())
		check("the one not read for longest makes room", "a/1", "a/3", "a/4")
		if e := h.get(&channel{l: &link{}}, "a/1", nil); e != nil {
			t.Error("a file of another link was given out")
		}
		early := h.now()
		h.drop("a/3")
		check("a file that changed is dropped", "a/1", "a/4")
		hold("a/3", early)
		check("what was opened before the change is not held", "a/1", "a/4")
		h.release(h.get(ch, "a/4", nil), false)
		check("a file that failed is dropped", "a/1")
		h.drop("a/1")

		hold("a/1", h.now())
		time.Sleep(maxHeld / 2)
		hold("a/2", h.now())
		time.Sleep(maxHeld/2 + 1)
		h.expire()
		if n := h.order.Len(); n != 1 {
			t.Errorf("%d files held, want the younger one", n)
		}
		check("one grew old", "a/2")
		time.Sleep(maxHeld)
		check("none is given out when old")
		hold("a/1", h.now())
		h.forget(l)
		check("the link is gone")
	})
}
