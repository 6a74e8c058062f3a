package scrub

import (
	"fmt"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
)

// meter tells progress of a verb, at most every half second.
type meter struct {
	tell  func(Progress) // may be nil
	start time.Time

	mu   sync.Mutex
	p    Progress
	last time.Time
	r    Report
}

const meterEvery = 500 * time.Millisecond

func newMeter(verb string, r Request, tell func(Progress)) *meter {
	return &meter{tell: tell, start: time.Now(), p: Progress{Verb: verb, ETA: -1}, r: Report{Verb: verb, DryRun: r.DryRun}}
}

// update changes progress and report together, and tells when it is time.
func (m *meter) update(change func(*Progress, *Report)) { m.report(false, change) }

// say tells at once, with a line of text.
func (m *meter) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	m.report(true, func(p *Progress, _ *Report) { p.Text = text })
	m.report(false, func(p *Progress, _ *Report) { p.Text = "" })
}

// report is called by several goroutines; tell is called by one at a time, with
// nothing locked that any other needs for long.
func (m *meter) report(now bool, change func(*Progress, *Report)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if change != nil {
		change(&m.p, &m.r)
	}
	if m.tell == nil || !now && time.Since(m.last) < meterEvery {
		return
	}
	m.last = time.Now()
	p := m.p
	if d := time.Since(m.start).Seconds(); d > 0 {
		p.Rate = float64(p.Bytes) / d
		switch {
		case p.OfBytes > 0 && p.Bytes > 0:
			p.ETA = d * float64(max(0, p.OfBytes-p.Bytes)) / float64(p.Bytes)
		case p.OfPacks > 0 && p.Packs > 0:
			p.ETA = d * float64(max(0, p.OfPacks-p.Packs)) / float64(p.Packs)
		}
	}
	m.tell(p)
}

// done ends the verb: the last progress, and the report.
func (m *meter) done(s *Scrub) Report {
	m.report(true, nil)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.r.Took = time.Since(m.start).Seconds()
	_, m.r.Alarm = s.c.Nodes.Status()
	return m.r
}

// stuckAt names a pack, if there is room for another name.
func (r *Report) stuckAt(s Stuck) {
	if len(r.Stuck) < stuckMost {
		r.Stuck = append(r.Stuck, s)
	}
}

// failed names a pack that an outcome left something of to do.
func (r *Report) failed(id cairn.PackID, o outcome, err error) {
	switch {
	case o.stuck != nil:
		r.stuckAt(*o.stuck)
	case err != nil:
		r.stuckAt(Stuck{Pack: id, ID: id.String(), Why: err.Error()})
	}
}

// says adds a sentence.
func (r *Report) says(format string, args ...any) {
	r.Says = append(r.Says, fmt.Sprintf(format, args...))
}

// many is a number with its noun: 1 pack, 2,000 packs.
func many(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// number is n with commas.
func number(n int64) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
