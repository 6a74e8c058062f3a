package backends

import (
	"fmt"
	"strings"

	"github.com/cairn-storage/cairn"
)

// Bounds of names, chosen so that every file system and protocol takes them.
const (
	MaxName    = 1024 // bytes of a whole name
	MaxElement = 255  // bytes between two slashes
)

// CheckName returns ErrInvalid unless name is one that a Remote must accept:
// a relative path of slash-separated elements of [a-z0-9.-], none of them
// empty, "." or "..", at most MaxElement bytes each and MaxName in all. The
// last element may also be README.txt or STATUS.txt, which people read.
//
// A name that passes never leaves the node's root, needs no escaping in any
// protocol, and is the same name on file systems that fold case.
func CheckName(name string) error {
	bad := func(why string) error {
		return fmt.Errorf("file name %.80q: %s: %w", name, why, cairn.ErrInvalid)
	}
	if name == "" {
		return bad("is empty")
	}
	if len(name) > MaxName {
		return bad(fmt.Sprintf("has %d bytes, at most %d are allowed", len(name), MaxName))
	}
	for rest, more := name, true; more; {
		var element string
		element, rest, more = strings.Cut(rest, "/")
		switch {
		case element == "":
			return bad("has an empty element")
		case element == "." || element == "..":
			return bad("has a dot element")
		case len(element) > MaxElement:
			return bad(fmt.Sprintf("has an element of %d bytes, at most %d are allowed", len(element), MaxElement))
		case !more && (element == "README.txt" || element == "STATUS.txt"):
		case !inAlphabet(element):
			return bad("use a-z, 0-9, dots and hyphens")
		}
	}
	return nil
}

// CheckDir is CheckName for the argument of List, where "" is the node's root.
func CheckDir(dir string) error {
	if dir == "" {
		return nil
	}
	return CheckName(dir)
}

func inAlphabet(element string) bool {
	for i := range len(element) {
		c := element[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return true
}
