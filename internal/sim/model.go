package sim

import (
	"fmt"
	"slices"
	"strings"
)

// seg is a run of one content from its beginning.
type seg struct {
	content uint64
	size    int64
}

// value is what a register may hold; the zero value is nothing. For objects
// the text is the ETag, which tells the bytes.
type value string

const nothing value = ""

// register is what is known of one name: the last value that was acknowledged
// or seen, and those of writes since then whose outcome nobody knows, oldest
// first. A later write that is acknowledged rules them out, and so does a
// restart once it was looked at.
type register struct {
	base    value
	maybe   []value
	settled bool // a restart decided the unknown ones, but nobody looked yet
	// back is what it may have held since the nodes had everything: what it may
	// be again once the gateway's disk is lost.
	back []value
}

// set makes v the only value, as of now.
func (r *register) set(v value) {
	back := r.back
	if v != r.base {
		back = append(slices.Clip(back), r.base)
	}
	*r = register{base: v, back: back}
}

// Model is what the store must hold.
type Model struct {
	names  map[string]*register
	bodies map[value][]seg // what ETags stand for
}

func newModel() *Model {
	return &Model{names: make(map[string]*register), bodies: make(map[value][]seg)}
}

func (m *Model) at(name string) *register {
	r := m.names[name]
	if r == nil {
		r = &register{}
		m.names[name] = r
	}
	return r
}

// outcome is what the caller of a write was told.
type outcome uint8

const (
	acked   outcome = iota // it is done
	refused                // it is not, and never will be
	unknown                // anything
)

// wrote notes a write.
func (m *Model) wrote(name string, v value, o outcome) {
	r := m.at(name)
	switch o {
	case acked:
		r.back = append(slices.Clip(r.back), r.maybe...) // nobody looked which of them it was
		r.set(v)
	case unknown:
		if r.settled { // whatever it was before, one of those is there now
			r.settled = false
		}
		r.maybe = append(r.maybe, v)
	}
}

// restarted notes that a new life began: writes of unknown outcome are there
// or will never be.
func (m *Model) restarted() {
	for _, r := range m.names {
		r.settled = len(r.maybe) > 0
	}
}

// flushed notes that the nodes have everything that was acknowledged.
func (m *Model) flushed() {
	for _, r := range m.names {
		if len(r.maybe) == 0 {
			r.back = nil
		}
	}
}

// burnt notes that the gateway's disk is gone: what came after the nodes had
// everything is there or not, and that is decided now.
func (m *Model) burnt() {
	for _, r := range m.names {
		r.maybe = append(r.back, r.maybe...)
		r.back, r.settled = nil, len(r.maybe) > 0
	}
}

// may lists what name may hold.
func (m *Model) may(name string) []value {
	r := m.at(name)
	return append([]value{r.base}, r.maybe...)
}

// certain reports the one value that name can have.
func (m *Model) certain(name string) (value, bool) {
	r := m.at(name)
	for _, v := range r.maybe {
		if v != r.base {
			return nothing, false
		}
	}
	return r.base, true
}

// saw checks a value that was read.
func (m *Model) saw(name string, v value) error {
	r := m.at(name)
	switch i := slices.Index(r.maybe, v); {
	case v == r.base && r.settled:
		r.set(v)
	case v == r.base:
	case i < 0:
		return fmt.Errorf("%s is %s, and must be %s", name, show(v), showAll(m.may(name)))
	case r.settled:
		r.set(v)
	default:
		rest := r.maybe[i+1:]
		r.set(v)
		r.maybe = rest
	}
	return nil
}

func show(v value) string {
	if v == nothing {
		return "nothing"
	}
	return string(v)
}

func showAll(vs []value) string {
	var out []string
	for _, v := range vs {
		out = append(out, show(v))
	}
	return strings.Join(out, " or ")
}

// body registers bytes and returns their ETag.
func (m *Model) body(segs ...seg) value {
	if len(segs) == 1 {
		v := value(fmt.Sprintf("%016x-%d", segs[0].content, segs[0].size))
		m.bodies[v] = segs
		return v
	}
	h := hash(0, segs)
	v := value(fmt.Sprintf("parts-%016x-%d", h, len(segs)))
	m.bodies[v] = segs
	return v
}

// size is the length of the bytes that an ETag stands for.
func (m *Model) size(v value) (n int64) {
	for _, s := range m.bodies[v] {
		n += s.size
	}
	return n
}

// fill writes bytes [off, off+len(b)) of what v stands for to b.
func (m *Model) fill(v value, off int64, b []byte) {
	for _, s := range m.bodies[v] {
		if off >= s.size {
			off -= s.size
			continue
		}
		n := min(s.size-off, int64(len(b)))
		content(s.content, off, b[:n])
		b, off = b[n:], 0
		if len(b) == 0 {
			return
		}
	}
}

// names of registers.
func objectName(key int) string { return fmt.Sprintf("object %d", key) }
func accessName(n int) string   { return fmt.Sprintf("access %d", n) }
func partName(upload, number int) string {
	return fmt.Sprintf("upload %d part %d", upload, number)
}

const (
	secondName = "second bucket"
	publicName = "first bucket is public"
)
