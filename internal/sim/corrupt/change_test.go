package corrupt

import (
	"bytes"
	"fmt"
	"math/rand/v2"
)

// span is bytes [lo, hi) of a file, which belong to one class.
type span struct {
	class  string
	lo, hi int
}

// changed is a file after a change.
type changed struct {
	data  []byte
	class string
	how   string // for a person
}

// alter changes data in one of the ways in which disks, nodes and people do,
// somewhere in s. others are files of the same kind. The result differs from
// data.
func alter(r *rand.Rand, data []byte, s span, others [][]byte) changed {
	for range 64 {
		out, how := alterOnce(r, data, s, others)
		if !bytes.Equal(out, data) {
			return changed{out, s.class, how}
		}
	}
	// Zeros over zeros, a twin in place of its twin: one bit always differs.
	out := bytes.Clone(data)
	if len(out) == 0 {
		return changed{[]byte{1}, s.class, "a byte in an empty file"}
	}
	out[min(s.lo, len(out)-1)] ^= 1
	return changed{out, s.class, fmt.Sprintf("flip bit 0 at %d", s.lo)}
}

func alterOnce(r *rand.Rand, data []byte, s span, others [][]byte) ([]byte, string) {
	hi := min(s.hi, len(data))
	lo := min(s.lo, hi)
	room := hi - lo
	if room == 0 { // nothing there: only what makes files longer
		return extend(r, data)
	}
	at := lo + r.IntN(room)
	out := bytes.Clone(data)
	switch r.IntN(12) {
	case 0, 1, 2, 3:
		bit := r.IntN(8)
		out[at] ^= 1 << bit
		return out, fmt.Sprintf("flip bit %d at %d", bit, at)
	case 4:
		n := min(1+r.IntN(64), hi-at)
		fill(r, out[at:at+n])
		return out, fmt.Sprintf("%d random bytes at %d", n, at)
	case 5: // a page that was never written
		n := min(1+r.IntN(4096), hi-at)
		clear(out[at : at+n])
		return out, fmt.Sprintf("%d zeros at %d", n, at)
	case 6:
		return out[:at], fmt.Sprintf("cut at %d of %d", at, len(data))
	case 7:
		return extend(r, data)
	case 8:
		n := 1 + r.IntN(16)
		more := make([]byte, n)
		fill(r, more)
		return append(append(bytes.Clone(data[:at]), more...), data[at:]...), fmt.Sprintf("%d bytes inserted at %d", n, at)
	case 9: // two places of one file
		n := min(1+r.IntN(8192), hi-at)
		to := r.IntN(len(data) - n + 1)
		if to+n > at && to < at+n {
			return out, ""
		}
		copy(out[at:at+n], data[to:to+n])
		copy(out[to:to+n], data[at:at+n])
		return out, fmt.Sprintf("swap %d bytes at %d and %d", n, at, to)
	case 10: // the same place of another file
		if len(others) == 0 {
			return out, ""
		}
		o := others[r.IntN(len(others))]
		n := min(1+r.IntN(8192), hi-at, max(len(o)-at, 0))
		copy(out[at:at+n], o[min(at, len(o)):])
		return out, fmt.Sprintf("%d bytes of another file at %d", n, at)
	default: // another file
		if len(others) == 0 {
			return out, ""
		}
		n := r.IntN(len(others))
		return bytes.Clone(others[n]), fmt.Sprintf("file %d of its kind in its place", n)
	}
}

func extend(r *rand.Rand, data []byte) ([]byte, string) {
	more := make([]byte, 1+r.IntN(5000))
	if r.IntN(2) == 0 {
		fill(r, more)
	}
	return append(bytes.Clone(data), more...), fmt.Sprintf("%d bytes more at the end", len(more))
}

func fill(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
	}
}

// same reports whether bytes [lo, hi) of both are there and equal.
func same(a, b []byte, lo, hi int) bool {
	return hi <= len(a) && hi <= len(b) && bytes.Equal(a[lo:hi], b[lo:hi])
}

// pick takes one of the spans; short ones are as likely as long ones, since
// each class matters.
func pick(r *rand.Rand, spans []span) span { return spans[r.IntN(len(spans))] }
