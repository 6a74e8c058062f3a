package pack

import (
	"errors"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// A power loss may keep a group's records and lose its frames (hazard B4): every
// kind of record that names frames must notice.
func TestEveryRecordThatNamesFramesNoticesTheyAreTorn(t *testing.T) {
	key, id := crypt.EpochKey{1}.Pack(cairn.PackID{1}, crypt.NoncePrefix{}), cairn.PackID{1}
	for name, record := range map[string]func(p Part) Body{
		"put":           func(p Part) Body { return Put{Key: "k", Size: p.Size, Parts: []Part{p}} },
		"put, list":     func(p Part) Body { return Put{Key: "k", List: &p} },
		"move":          func(p Part) Body { return Move{Key: "k", Parts: []Part{p}} },
		"uploaded part": func(p Part) Body { return UploadPart{Upload: UploadID{1}, Number: 1, Size: p.Size, Parts: []Part{p}} },
		"part, list":    func(p Part) Body { return UploadPart{Upload: UploadID{1}, Number: 1, List: &p} },
		"completed":     func(p Part) Body { return UploadDone{Upload: UploadID{1}, Put: Put{Key: "k", List: &p}} },
	} {
		t.Run(name, func(t *testing.T) {
			plain := newSource(5).bytes(FrameSize + 100)
			g := NewGroup(key, id, 0, Link{}, nil)
			p := Part{ID: crypt.ContentID{2}, Size: uint64(len(plain))}
			p.Extents = []Extent{g.Frames(p.ID, 0, plain, true)}
			g.Add(Record{Stamp: cairn.Stamp{Life: 1, LSN: 1}, Body: record(p)})
			b, _ := g.Finish()
			if _, _, _, err := open(key, id, b, 0); err != nil {
				t.Fatalf("whole: %v", err)
			}
			clear(b[4096:8192])
			if _, _, _, err := open(key, id, b, 0); !errors.Is(err, cairn.ErrCorrupt) {
				t.Errorf("torn: %v", err)
			}
		})
	}
}
