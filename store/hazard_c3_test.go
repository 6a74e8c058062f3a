package store

import (
	"errors"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/pack"
	"github.com/cairn-storage/cairn/store/stage"
)

// The answer to a completion is lost, and the client asks again: it gets the same
// ETag, after a restart and after the object was overwritten too, and nothing is
// written. It is known for a week at least.
func TestHazardC8CompleteAgainAfterALostAnswer(t *testing.T) {
	simulated(t, 2, nil, func(t *testing.T, r *rig) {
		one, two := content(1, tinyPack), content(2, 100)
		id := r.begin("x")
		must(t, r.part("x", id, 1, one))
		must(t, r.part("x", id, 2, two))
		complete := func() string {
			t.Helper()
			o, err := r.CompleteUpload(t.Context(), completeOf("x", id, one, two))
			must(t, err)
			return o.ETag
		}
		tag := complete()
		if tag != partsTag(one, two) || complete() != tag {
			t.Errorf("completed as %s", tag)
		}
		r.close()
		r.open()
		if again := complete(); again != tag {
			t.Errorf("after a restart it is %s, %s before", again, tag)
		}
		must(t, r.put("x", content(3, 10)))
		if again := complete(); again != tag {
			t.Errorf("after another write it is %s, %s before", again, tag)
		}
		r.want("x", content(3, 10))
		must(t, r.expire(t.Context(), time.Now().Add(UploadAge-time.Hour)))
		if again := complete(); again != tag {
			t.Errorf("most of a week later it is %s, %s before", again, tag)
		}
		r.want("x", content(3, 10))
	})
}

// A long body leaves only full packs of its own: what is over lies in the log
// pack, with its record.
func TestHazardC10OnlyFullPacksLeaveALongBody(t *testing.T) {
	simulated(t, 3, settled, func(t *testing.T, r *rig) {
		full := int64(stage.MaxFrames(r.c.PackSize)) * pack.FrameSize
		const packs = 5
		body := content(1, int(packs*full+r.c.small()))
		must(t, r.put("x", body))
		must(t, r.Flush(t.Context()))
		kinds := make(map[cairn.PackID]pack.Kind)
		data := 0
		for row, err := range r.Packs(cairn.PackID{}) {
			must(t, err)
			kinds[row.Params.ID] = row.Kind
			if row.Kind == pack.Data {
				data++
				if int64(row.Bytes) < full {
					t.Errorf("pack %v holds %d bytes, %d fit", row.Params.ID, row.Bytes, full)
				}
			}
		}
		if data != packs {
			t.Errorf("%d data packs, want %d", data, packs)
		}
		logs := 0
		for _, id := range r.packsOf("x") {
			if kinds[id] == pack.Log {
				logs++
			}
		}
		if logs != 1 {
			t.Errorf("%d log packs hold some of the body, want the one with its tail", logs)
		}
		r.want("x", body)
	})
}

// With 1+1 and one of two nodes down there is no second operator to answer for
// a write that wants one: it is refused at once, and not left hanging.
func TestHazardC11SpreadWithOneNodeDownIsRefusedAtOnce(t *testing.T) {
	spreadRig(t, 2, "1+1", func(t *testing.T, r *rig) {
		must(t, r.put("x", content(1, 100)))
		r.down(1)
		for range 3 {
			began := time.Now()
			if err := r.put("x", content(2, 100)); !errors.Is(err, cairn.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(began); took > r.c.SlowWait {
				t.Errorf("told after %v", took)
			}
		}
		r.down(0)
		r.pass(2 * time.Minute)
		must(t, r.put("x", content(3, 100)))
		r.want("x", content(3, 100))
	})
}
