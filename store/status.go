package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/prometheus/client_golang/prometheus"
)

// Status is what the store knows of itself, for people and monitors.
type Status struct {
	Objects     int64    `json:"objects"`
	Bytes       int64    `json:"bytes"`
	Packs       int      `json:"packs"`         // on nodes
	Staged      int      `json:"packs_staged"`  // on this disk, the spread ones still kept included
	StagedBytes int64    `json:"stage_bytes"`   // bytes of stage files
	StageLimit  int64    `json:"stage_limit"`   // bytes
	OnlyHere    int64    `json:"only_here"`     // bytes of packs that not enough nodes hold yet
	OldestHere  float64  `json:"oldest_here_s"` // age of the oldest of them, seconds
	Waiting     []string `json:"waiting"`       // why packs could not be spread at the last try
	Damage      []string `json:"damage"`        // found at start
	Coding      string   `json:"coding"`        // the setting
	Ack         string   `json:"ack"`           // of the store; buckets may have their own
	Journals    int      `json:"journals"`      // that stand for log packs which do not yet
	// Journals that nothing needs any more and whose files still lie on nodes,
	// and the bytes there of them and of those that stand.
	JournalsRetiring int    `json:"journals_retiring"`
	JournalBytes     int64  `json:"journal_bytes"`
	JournalFault     string `json:"journal_fault"` // why the last journal failed, empty when it did not
	Groups           uint64 `json:"groups"`        // fsyncs of the log, this life
	Writes           uint64 `json:"writes"`        // that they made durable
	Life             uint32 `json:"life"`

	Checkpoint     uint64  `json:"checkpoint"`       // log pack that the newest one is as of, 0 for none
	CheckpointAge  float64 `json:"checkpoint_age_s"` // seconds since it was made, 0 for none
	CheckpointRows uint64  `json:"checkpoint_rows"`  // of all its runs
	AboveCutOff    uint64  `json:"above_cut_off"`    // log packs closed since: what a recovery reads one by one

	Unseen []string `json:"unseen"` // nodes and log packs that a recovery went on without and that were not seen since

	Doomed // what nothing needs any more, as the last collection found it
	// Compacting is what the compaction under way has done, or the last one.
	Compacting Compacted `json:"compacting"`
}

// Status returns the present figures.
func (s *Store) Status(ctx context.Context) (Status, error) {
	if err := s.err(); err != nil {
		return Status{}, err
	}
	t := s.idx.Totals()
	out := Status{Objects: int64(t.Objects), Bytes: int64(t.Bytes), StageLimit: s.c.StageLimit, Coding: s.Coding(), Ack: s.c.Ack,
		Groups: s.m.nGroups.Load(), Writes: s.m.nWrites.Load(), Life: s.com.life.number}
	s.jour.fill(&out)
	out.Unseen = s.unseen.lines()
	s.mu.Lock()
	defer s.mu.Unlock()
	out.Packs = s.nSpread
	out.AboveCutOff = s.aboveCutOff()
	out.Doomed, out.Compacting = s.doomed, s.compacted
	if b := s.ckpt.base; len(b.runs) > 0 {
		out.Checkpoint, out.CheckpointAge = b.cut.Number, time.Since(b.written).Seconds()
		for _, r := range b.runs {
			out.CheckpointRows += r.Rows
		}
	}
	out.Staged, out.StagedBytes, out.Damage = len(s.packs), s.used, slices.Clone(s.damage)
	for _, p := range s.packs {
		if p.phase == spread || p.drop {
			continue
		}
		out.OnlyHere += int64(p.length)
		if p.length > 0 {
			out.OldestHere = max(out.OldestHere, time.Since(p.since).Seconds())
		}
		if p.why != nil {
			out.Waiting = append(out.Waiting, p.why.Error())
		}
	}
	return out, nil
}

// Place is one pack of an object, for Locate.
type Place struct {
	Pack   cairn.PackID
	Kind   string
	Coding string
	State  string // staged, sealed, spread, at risk
	Bytes  int64  // of the object's plaintext in it
	At     []cairn.Location
}

// Locate says where an object's bytes lie.
func (s *Store) Locate(ctx context.Context, k cairn.Key) (cairn.Object, []Place, error) {
	v, err := s.version(k)
	if err != nil {
		return cairn.Object{}, nil, err
	}
	var out []Place
	for _, part := range v.Put.Parts {
		for _, e := range part.Extents {
			p, err := s.place(e.Pack)
			if err != nil {
				return cairn.Object{}, nil, err
			}
			p.Bytes = int64(e.Length)
			out = append(out, p)
		}
	}
	return object(k, v), out, nil
}

func (s *Store) place(id cairn.PackID) (Place, error) {
	if p := s.acquire(id); p != nil {
		defer s.release(p)
		s.mu.Lock()
		defer s.mu.Unlock()
		out := Place{Pack: id, Kind: p.file.Kind.String(), State: "staged", At: slices.Clone(p.at)}
		if p.phase >= sealed { // before that its seal may be under way
			if seal := p.file.Sealed(); seal != nil {
				out.Coding, out.State = seal.Trailer.Coding.String(), "sealed"
			}
		}
		if p.phase == spread {
			out.State = "spread"
		}
		return out, nil
	}
	row, err := s.idx.Pack(id)
	if err != nil {
		return Place{}, fmt.Errorf("store: pack %v: %w", id, err)
	}
	out := Place{Pack: id, Kind: row.Kind.String(), Coding: row.Params.Coding.String(), State: "spread", At: row.At}
	if len(row.At) < row.Params.Coding.N() {
		out.State = "at risk"
	}
	return out, nil
}

// metrics counts what the store does.
type metrics struct {
	groups, writes, spread, journals, journaled prometheus.Counter
	nGroups, nWrites                            counter

	packs                               *prometheus.GaugeVec
	doomed                              prometheus.Gauge
	collected, freed, compacted, moving prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		groups: prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_store_groups_total", Help: "Groups made durable, one fsync each."}),
		writes: prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_store_writes_total", Help: "Writes that rode in groups."}),
		spread: prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_store_packs_spread_total", Help: "Packs of which n shards stood."}),
	}
	m.journals = prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_store_journals_total", Help: "Journals of which all shards stood."})
	m.journaled = prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_store_journaled_writes_total", Help: "Writes that rode in journals."})
	m.packs = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "cairn_store_packs", Help: "Packs on nodes by state, as the last collection found them."}, []string{"state"})
	m.doomed = prometheus.NewGauge(prometheus.GaugeOpts{Name: "cairn_store_dead_bytes", Help: "Bytes of files on nodes that nothing needs any more."})
	m.collected = prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_store_packs_deleted_total", Help: "Packs whose files are gone from every node."})
	m.freed = prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_store_deleted_bytes_total", Help: "Bytes of files deleted on nodes."})
	m.compacted = prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_store_compacted_bytes_total", Help: "Live bytes that compaction rewrote."})
	m.moving = prometheus.NewCounter(prometheus.CounterOpts{Name: "cairn_store_moves_total", Help: "Versions that compaction moved."})
	if reg != nil {
		reg.MustRegister(m.packs, m.doomed, m.collected, m.freed, m.compacted, m.moving)
		reg.MustRegister(m.groups, m.writes, m.spread, m.journals, m.journaled)
	}
	return m
}

func (m *metrics) group(writes int) {
	m.groups.Inc()
	m.writes.Add(float64(writes))
	m.nGroups.Add(1)
	m.nWrites.Add(uint64(writes))
}

func (m *metrics) collection(c Collected, spread int) {
	m.packs.WithLabelValues("spread").Set(float64(spread))
	m.packs.WithLabelValues("retiring").Set(float64(c.Retiring))
	m.packs.WithLabelValues("retired").Set(float64(c.Rootless + c.InGrace + c.Unsure))
	m.doomed.Set(float64(c.Doomed.Bytes))
	m.collected.Add(float64(c.Deleted))
	m.freed.Add(float64(c.Freed))
}

func (m *metrics) journal(writes int) {
	m.journals.Inc()
	m.journaled.Add(float64(writes))
}
