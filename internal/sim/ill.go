package sim

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cairn-storage/cairn"
)

// Ill is one way in which a node misbehaves.
type Ill uint8

// What nodes ail from. The clean ones, up to LosesAcks, keep what was stored:
// any node may have them for a while. The others are of nodes that are not to
// be trusted.
const (
	Down       Ill = iota + 1 // every call fails at once
	Bursts                    // calls for a file fail three in a row, then three work
	Hangs                     // calls never end
	Drips                     // a byte a second
	Revoked                   // credentials are refused
	FailsLarge                // reads above 64 KiB fail
	LosesAcks                 // calls work and say that they failed

	FalseNotFound // files that are there are said not to be
	Unmounted     // empty, no marker; what is put lands below the mount point
	FreeLies      // free space is told as nothing, or as plenty
	FullLate      // part of a put is stored before it is refused as full
	SizeLies      // Stat tells another size
	ListOmits     // files are left out of listings
	ListInvents   // listings name shards that never were
	ListEndless   // listings never end
	DropsWrites   // puts are acknowledged and not done
	TornPuts      // a name shows half a file: rename is not atomic
	PageCache     // puts are acknowledged from memory, then the power goes
	FlipsReads    // bytes of reads are changed on the way
	HonestSmall   // small reads are honest, larger ones are not: audits see nothing
	ForeignShard  // another pack's shard is served
	OlderFile     // an older file is served in place of a newer one
	PreviousRoot  // the newest root is hidden, and the one before served for it
	LosesPart     // files are gone
	Rots          // a bit of files is flipped at rest
	Truncates     // files have lost their ends
	Extends       // files have grown
	Swaps         // two files have each other's bytes
	RollsBack     // the box is as it was some time ago
	LateDelete    // deletes happen ten minutes later, whatever stands there then
	IgnoresDelete // deletes are acknowledged and not done
	DeletesOther  // deletes take another file with them
	illEnd
)

// illness is how an Ill is made: harm to the files when it begins, a wrapper
// around the calls while it lasts; each may be nil.
type illness struct {
	name string
	harm func(*sickness)
	wrap func(through) remote
}

var ills = [illEnd]illness{
	Down:          {"Down", nil, down},
	Bursts:        {"Bursts", nil, bursts},
	Hangs:         {"Hangs", nil, hangs},
	Drips:         {"Drips", nil, drips},
	Revoked:       {"Revoked", nil, revoked},
	FailsLarge:    {"FailsLarge", nil, failsLarge},
	LosesAcks:     {"LosesAcks", nil, losesAcks},
	FalseNotFound: {"FalseNotFound", nil, func(t through) remote { return falseNotFound{t} }},
	Unmounted:     {"Unmounted", nil, newUnmounted},
	FreeLies:      {"FreeLies", nil, func(t through) remote { return freeLies{t} }},
	FullLate:      {"FullLate", nil, func(t through) remote { return fullLate{t} }},
	SizeLies:      {"SizeLies", nil, func(t through) remote { return sizeLies{t} }},
	ListOmits:     {"ListOmits", nil, func(t through) remote { return listOmits{t} }},
	ListInvents:   {"ListInvents", nil, func(t through) remote { return listInvents{t, 16} }},
	ListEndless:   {"ListEndless", nil, func(t through) remote { return listInvents{t, -1} }},
	DropsWrites:   {"DropsWrites", nil, func(t through) remote { return dropsWrites{t} }},
	TornPuts:      {"TornPuts", nil, func(t through) remote { return tornPuts{t} }},
	PageCache:     {"PageCache", nil, func(t through) remote { return pageCache{t} }},
	FlipsReads:    {"FlipsReads", nil, func(t through) remote { return flipsReads{t, 0} }},
	HonestSmall:   {"HonestSmall", nil, func(t through) remote { return flipsReads{t, 16 << 10} }},
	ForeignShard:  {"ForeignShard", nil, func(t through) remote { return serves{t, foreign} }},
	OlderFile:     {"OlderFile", nil, func(t through) remote { return serves{t, older} }},
	PreviousRoot:  {"PreviousRoot", nil, func(t through) remote { return previousRoot{t} }},
	LosesPart:     {"LosesPart", losePart, nil},
	Rots:          {"Rots", rot, nil},
	Truncates:     {"Truncates", truncate, nil},
	Extends:       {"Extends", extend, nil},
	Swaps:         {"Swaps", swap, nil},
	RollsBack:     {"RollsBack", rollBack, nil},
	LateDelete:    {"LateDelete", nil, func(t through) remote { return lateDelete{t} }},
	IgnoresDelete: {"IgnoresDelete", nil, func(t through) remote { return ignoresDelete{t} }},
	DeletesOther:  {"DeletesOther", nil, func(t through) remote { return deletesOther{t} }},
}

// String is the name of the constant.
func (i Ill) String() string {
	if i > 0 && i < illEnd {
		return ills[i].name
	}
	return fmt.Sprintf("Ill(%d)", uint8(i))
}

// Clean reports whether the ill keeps what was stored and says no wrong thing
// of it.
func (i Ill) Clean() bool { return i > 0 && i <= LosesAcks }

// sickness is one ill of one node while it lasts.
type sickness struct {
	node  *Node
	ill   Ill
	share float64

	mu       sync.Mutex
	volatile []string // put and not yet durable; guarded by mu
}

// hit says whether a call is one of the share that is met.
func (s *sickness) hit(op, name string) bool {
	name = plain(name)
	attempt := s.node.try(fmt.Sprint("ill ", uint8(s.ill), op), name)
	return chance(hash(s.node.seed, s.node.number, s.ill, op, name, attempt)) < s.share
}

// picks says whether a file is one of the share that is harmed.
func (s *sickness) picks(name string) bool {
	return chance(hash(s.node.seed, s.node.number, s.ill, plain(name))) < s.share
}

// cached remembers that name is in the page cache only.
func (s *sickness) cached(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.volatile = append(s.volatile, name)
}

// end is the power loss of a node that wrote to its page cache only.
func (s *sickness) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range s.volatile {
		s.node.mem.Drop(name)
	}
	s.volatile = nil
}

// through passes every call on; the ills override what they change.
type through struct {
	remote
	s *sickness
}

func unavailable(op string) error { return fmt.Errorf("%s: injected: %w", op, cairn.ErrUnavailable) }

// pause waits for d, or for ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
