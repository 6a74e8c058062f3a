package gateway

import (
	"math"
	"strings"
)

type rangeKind int

const (
	rangeWhole  rangeKind = iota // no usable range: the whole object, as AWS does
	rangePart                    // off and n hold
	rangeBeyond                  // none of it exists: 416
)

// parseRange reads a Range header with one range over an object of size
// bytes. Several ranges, other units and nonsense are the whole object.
func parseRange(header string, size int64) (off, n int64, kind rangeKind) {
	spec, ok := strings.CutPrefix(strings.TrimSpace(header), "bytes=")
	if !ok {
		return 0, 0, rangeWhole
	}
	from, to, ok := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok {
		return 0, 0, rangeWhole
	}
	first, okFirst := position(from)
	last, okLast := position(to)
	switch {
	case from == "" && okLast: // the last bytes
		if last == 0 || size == 0 {
			return 0, 0, rangeBeyond
		}
		last = min(last, size)
		return size - last, last, rangePart
	case !okFirst, to != "" && !okLast, to != "" && last < first:
		return 0, 0, rangeWhole
	case first >= size:
		return 0, 0, rangeBeyond
	case to == "":
		last = size - 1
	}
	return first, min(last, size-1) - first + 1, rangePart
}

// position reads digits; a number too large for any object is the largest.
func position(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	var v int64
	for i := range len(s) {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if v > (math.MaxInt64-9)/10 {
			v = math.MaxInt64
			continue
		}
		v = v*10 + int64(c-'0')
	}
	return v, true
}
