package pack

import (
	"fmt"
	"io"
	"log/slog"
)

// A root's body holds credentials and an identity in the clear, so it prints as
// a placeholder, by any verb of fmt, in logs and in JSON.
const hiddenRootBody = "body of a root (hidden)"

// String hides the body.
func (RootBody) String() string { return hiddenRootBody }

// GoString hides the body.
func (RootBody) GoString() string { return hiddenRootBody }

// Format hides the body from every verb.
func (RootBody) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, hiddenRootBody) } // fmt.State does not fail

// LogValue hides the body.
func (RootBody) LogValue() slog.Value { return slog.StringValue(hiddenRootBody) }

// MarshalText hides the body from encoders.
func (RootBody) MarshalText() ([]byte, error) { return []byte(hiddenRootBody), nil }
