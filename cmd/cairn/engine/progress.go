package engine

import (
	"encoding/json"
	"sync"
	"time"
)

// Progress is how far a long verb is.
type Progress struct {
	Text  string  `json:"text,omitempty"` // what is being done, in words
	Done  int64   `json:"done"`           // of Of, counted in Unit
	Of    int64   `json:"of"`             // 0 while nobody knows
	Unit  string  `json:"unit,omitempty"` // one of what is counted: pack, shard; empty for bytes
	Bytes int64   `json:"bytes"`          // moved so far
	Rate  float64 `json:"bytes_per_s"`
	Left  float64 `json:"left_s"` // seconds to go; 0 while nobody knows
}

// MarshalJSON writes one that is nothing but words as a string.
func (p Progress) MarshalJSON() ([]byte, error) {
	if p == (Progress{Text: p.Text}) {
		return json.Marshal(p.Text)
	}
	type plain Progress
	return json.Marshal(plain(p))
}

// UnmarshalJSON reads what MarshalJSON writes.
func (p *Progress) UnmarshalJSON(b []byte) error {
	type plain Progress
	*p = Progress{}
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &p.Text)
	}
	return json.Unmarshal(b, (*plain)(p))
}

const (
	// meterWindow is what rate and time left are measured over: long enough for
	// packs of any size, short enough to follow a timetable.
	meterWindow = time.Minute
	// meterEvery is how often figures are passed on.
	meterEvery = 200 * time.Millisecond
)

// Meter passes reports on with rate and time left worked out, not more often
// than a person can read them. It is safe for concurrent use.
type Meter struct {
	to func(Progress)

	mu      sync.Mutex
	samples []sample  // of the last meterWindow, oldest first; guarded by mu
	passed  time.Time // when a report was last passed on; guarded by mu
	text    string    // of it; guarded by mu
}

type sample struct {
	at          time.Time
	done, bytes int64
}

// NewMeter measures for to.
func NewMeter(to func(Progress)) *Meter { return &Meter{to: to} }

// Report passes p on. Rate and Left are filled in where they are zero.
func (m *Meter) Report(p Progress) {
	if p, ok := m.measure(p, time.Now()); ok {
		m.to(p)
	}
}

func (m *Meter) measure(p Progress, now time.Time) (Progress, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p == (Progress{Text: p.Text}) { // words are few, and each says something new
		return p, true
	}
	if n := len(m.samples); n > 0 && (p.Done < m.samples[n-1].done || p.Bytes < m.samples[n-1].bytes) {
		m.samples = nil // another part of the work
	}
	for len(m.samples) > 1 && now.Sub(m.samples[1].at) >= meterWindow {
		m.samples = m.samples[1:]
	}
	if n := len(m.samples); n == 0 || now.Sub(m.samples[n-1].at) >= time.Second {
		m.samples = append(m.samples, sample{now, p.Done, p.Bytes})
	}
	if first := m.samples[0]; now.Sub(first.at) >= time.Second {
		took := now.Sub(first.at).Seconds()
		if p.Rate == 0 {
			p.Rate = float64(p.Bytes-first.bytes) / took
		}
		if speed := float64(p.Done-first.done) / took; p.Left == 0 && speed > 0 && p.Of > p.Done {
			p.Left = float64(p.Of-p.Done) / speed
		}
	}
	if now.Sub(m.passed) < meterEvery && p.Text == m.text && p.Done < p.Of {
		return p, false
	}
	m.passed, m.text = now, p.Text
	return p, true
}
