package store

import (
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/index"
	"github.com/cairn-storage/cairn/pack"
)

// enter takes the row of a journal into the books. s.mu must not be held.
func (j *journaler) enter(row index.PackRow) {
	j.s.mu.Lock()
	j.s.account(row, nil)
	j.s.mu.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.bytes += row.Params.FileSize() * int64(len(row.At))
	if row.State != index.Spread {
		j.retired++
		return
	}
	j.count++
	j.live[row.Number] = append(j.live[row.Number], row.Params.ID)
}

// freed notes that files of retired journals, so many bytes, or a whole journal
// are gone from nodes.
func (j *journaler) freed(bytes int64, whole bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.bytes -= bytes
	if whole {
		j.retired--
	}
}

// stood notes that all of a log pack stands, so answers may rest on it.
func (j *journaler) stood(id cairn.PackID) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.doubt, id)
}

// retire gives up the journals of log pack number, of which n shards stand, and
// all of each pack that its records name: nothing reads them any more.
func (j *journaler) retire(number uint64) {
	j.mu.Lock()
	ids := j.live[number]
	delete(j.live, number)
	j.count -= len(ids)
	j.retired += len(ids)
	j.mu.Unlock()
	for _, id := range ids {
		err := j.s.idx.UpdatePack(id, func(r *index.PackRow) error {
			if r.State == index.Spread {
				r.State = index.Retiring
			}
			return nil
		})
		if err != nil { // the next start retires it
			j.s.c.Log.Warn("a journal whose log pack stands could not be marked", "pack", id, "err", err)
		}
	}
}

// start retires the journals, known from the index, whose log pack came to stand
// without that being noted. The other log packs of this disk
// hold what no journal may have.
func (j *journaler) start() error {
	bs, err := j.s.idx.Buckets()
	if err != nil {
		return err
	}
	for _, b := range bs {
		if b.Setting[settingAck] == AckSpread {
			j.on.Store(true)
		}
	}
	stand, err := j.numbersStanding()
	if err != nil {
		return err
	}
	for _, number := range stand {
		j.retire(number)
	}
	if j.on.Load() {
		j.begin()
	}
	return nil
}

// numbersStanding returns the log packs that journals which stand anticipate
// and of which all n shards stand.
func (j *journaler) numbersStanding() (stand []uint64, err error) {
	if len(j.live) == 0 {
		return nil, nil
	}
	for row, err := range j.s.idx.Packs(cairn.PackID{}) {
		if err != nil {
			return nil, err
		}
		if _, asked := j.live[row.Number]; asked && row.Kind == pack.Log && row.State != index.Staged && len(row.At) >= row.Params.Coding.N() {
			stand = append(stand, row.Number)
		}
	}
	return stand, nil
}

// fill adds what is known of journals to a status.
func (j *journaler) fill(out *Status) {
	j.mu.Lock()
	defer j.mu.Unlock()
	out.Journals, out.JournalsRetiring, out.JournalBytes = j.count, j.retired, j.bytes
	if j.down != nil {
		out.JournalFault = j.down.Error()
	}
}
