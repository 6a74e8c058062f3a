package store

import (
	"sync"

	"github.com/cairn-storage/cairn"
)

// pins are the readers that are open. A pack that one of them may yet come to is
// not retired; what is retired is pinned by nobody.
type pins struct {
	mu      sync.Mutex
	looks   uint64           // how often the readers were looked at; guarded by mu
	readers map[*source]bool // guarded by mu
}

// begin is to be called before a reader looks up where its object lies.
func (p *pins) begin() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.looks
}

// add pins what r reads. false: somebody looked for pins since r's begin and did
// not see this one, so what r looked up may be retired by now; it looks again.
func (p *pins) add(r *source, begun uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.looks != begun {
		return false
	}
	if p.readers == nil {
		p.readers = make(map[*source]bool)
	}
	p.readers[r] = true
	return true
}

func (p *pins) end(r *source) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.readers, r)
}

// among returns those of ids that a reader pins. A reader that is not seen here
// and begun before will look again.
func (p *pins) among(ids map[cairn.PackID]bool) map[cairn.PackID]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looks++
	held := make(map[cairn.PackID]bool)
	for r := range p.readers {
		for _, part := range r.parts {
			for _, e := range part.Extents {
				if ids[e.Pack] {
					held[e.Pack] = true
				}
			}
		}
	}
	return held
}
