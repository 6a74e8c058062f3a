package recovery

import (
	"fmt"
	"io"
	"log/slog"
)

// What was found, and what a gateway is made of, holds credentials and an
// identity in the clear, so it prints as a placeholder, by any verb of fmt, in
// logs and in JSON.
const (
	hiddenFound = "what was found of a store (hidden)"
	hiddenTaken = "gateway that takes over (hidden)"
)

// String hides what was found.
func (Found) String() string { return hiddenFound }

// GoString hides what was found.
func (Found) GoString() string { return hiddenFound }

// Format hides what was found from every verb.
func (Found) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, hiddenFound) } // fmt.State does not fail

// LogValue hides what was found.
func (Found) LogValue() slog.Value { return slog.StringValue(hiddenFound) }

// MarshalText hides what was found from encoders.
func (Found) MarshalText() ([]byte, error) { return []byte(hiddenFound), nil }

// String hides the gateway.
func (Taken) String() string { return hiddenTaken }

// GoString hides the gateway.
func (Taken) GoString() string { return hiddenTaken }

// Format hides the gateway from every verb.
func (Taken) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, hiddenTaken) } // fmt.State does not fail

// LogValue hides the gateway.
func (Taken) LogValue() slog.Value { return slog.StringValue(hiddenTaken) }

// MarshalText hides the gateway from encoders.
func (Taken) MarshalText() ([]byte, error) { return []byte(hiddenTaken), nil }
