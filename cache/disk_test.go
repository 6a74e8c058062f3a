package cache

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/cairn-storage/cairn/internal/durable"
)

// setByte changes one byte of the file.
func setByte(t *testing.T, fs durable.FS, off int64, change func(byte) byte) {
	t.Helper()
	f, err := fs.OpenReadWrite(fileAt)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], off); err != nil {
		t.Fatal(err)
	}
	b[0] = change(b[0])
	if _, err := f.WriteAt(b[:], off); err != nil {
		t.Fatal(err)
	}
}

func flip(b byte) byte { return b ^ 0x40 }

func TestACorruptSlotIsAMissAndIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := durable.NewMem()
		c := open(t, configFor(fs, 10))
		putAll(c, 10)
		setByte(t, fs, slotOffset(4)+int64(len(blockOf(4)))-1, flip)
		if hits := found(t, c, 10); hits != 9 {
			t.Errorf("%d hits, want 9", hits)
		}
		found(t, c, 10)
		if s := c.Stats(); s.Corrupt != 1 || s.DiskBlocks != 9 {
			t.Errorf("a block found corrupt once is forgotten: %+v", s)
		}
		putAll(c, 10)
		if hits := found(t, c, 10); hits != 10 {
			t.Errorf("%d hits after it was put again, want 10", hits)
		}
	})
}

// Any byte of an entry may be wrong: what is found is right all the same.
func TestNoEntryGivesWrongBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := durable.NewMem()
		c := open(t, configFor(fs, 6))
		putAll(c, 6)
		c.Close()
		for off := range int64(entrySize) {
			before := byte(0)
			setByte(t, fs, entryOffset(2)+off, func(b byte) byte { before = b; return flip(b) })
			again := open(t, configFor(fs, 6))
			synctest.Wait()
			hits := found(t, again, 2000) // the changed key is among these or nowhere
			orderOnly := off >= 23 && off < 32
			if want := 5; hits != want && !(orderOnly && hits == 6) {
				t.Errorf("entry byte %d changed: %d hits", off, hits)
			}
			again.Close()
			setByte(t, fs, entryOffset(2)+off, func(byte) byte { return before })
		}
		// Two entries that point at each other's slots.
		a, b := readEntry(t, fs, 0), readEntry(t, fs, 1)
		writeAt(t, fs, a, entryOffset(1))
		writeAt(t, fs, b, entryOffset(0))
		again := open(t, configFor(fs, 6))
		synctest.Wait()
		if hits := found(t, again, 6); hits != 4 {
			t.Errorf("two entries exchanged: %d hits, want 4", hits)
		}
	})
}

func readEntry(t *testing.T, fs durable.FS, slot uint32) []byte {
	t.Helper()
	f, err := fs.OpenReadWrite(fileAt)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, entrySize)
	if _, err := f.ReadAt(b, entryOffset(slot)); err != nil {
		t.Fatal(err)
	}
	return b
}

func writeAt(t *testing.T, fs durable.FS, b []byte, off int64) {
	t.Helper()
	f, err := fs.OpenReadWrite(fileAt)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
}

// Whatever a power loss leaves of a file that was never synced, no block has
// wrong bytes and the cache goes on.
func TestAPowerLossLeavesMissesOnly(t *testing.T) {
	for _, percent := range []int{0, 10, 50, 90, 100} {
		for seed := range uint64(2) {
			t.Run(fmt.Sprintf("%d percent, seed %d", percent, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					fs := durable.NewMem()
					c := open(t, configFor(fs, 16))
					for n := range 40 { // slots are used again
						c.Put(keyOf(n), blockOf(n))
						synctest.Wait()
					}
					after := fs.Crash(percent, seed)
					again := open(t, configFor(after, 16))
					synctest.Wait()
					hits := found(t, again, 40)
					if percent == 100 && hits != 16 || percent == 0 && hits != 0 {
						t.Errorf("%d hits", hits)
					}
					for n := range 40 { // and again, over whatever is there
						again.Put(keyOf(n), blockOf(n))
						synctest.Wait()
						if got, ok := again.Get(keyOf(n)); !ok || !bytes.Equal(got, blockOf(n)) {
							t.Fatalf("block %d was put and is there: %v", n, ok)
						}
					}
				})
			})
		}
	}
}

func TestAFullDiskOnlyMeansMisses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := durable.NewMem()
		config := configFor(fs, 50)
		config.MemoryBytes = 1 << 20
		c := open(t, config)
		fs.SetCapacity(slotOffset(10))
		putAll(c, 50)
		found(t, c, 50)
		s := c.Stats()
		if s.Failed == 0 || s.DiskBlocks > 10 {
			t.Errorf("%+v", s)
		}
		fs.SetCapacity(1 << 40)
		putAll(c, 50)
		found(t, c, 50)
		if s := c.Stats(); s.DiskBlocks < 40 {
			t.Errorf("with room again: %+v", s)
		}
	})
}

func TestPutNeverWaitsForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		fs := durable.Watch(durable.NewMem(), durable.Hook{Before: func(s durable.Step) error {
			if s.Op == durable.OpWrite && s.Off >= entryOffset(0) {
				<-release
			}
			return nil
		}})
		config := configFor(fs, 500)
		config.MemoryBytes = 1 << 20
		c := open(t, config)
		const blocks = queueLength + 40
		for i := range blocks {
			c.Put(keyOf(i), blockOf(i)) // would end the test by deadlock
			synctest.Wait()
		}
		if s := c.Stats(); s.Dropped != blocks-queueLength-1 {
			t.Errorf("one block is being written, %d wait: %+v", queueLength, s)
		}
		close(release)
		synctest.Wait()
		if s := c.Stats(); s.DiskBlocks != queueLength+1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAReadErrorIsAMiss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := open(t, configFor(durable.NewMem(), 10))
		putAll(c, 10)
		c.disk.file = failingReads{c.disk.file}
		if hits := found(t, c, 10); hits != 0 {
			t.Errorf("%d hits", hits)
		}
		if s := c.Stats(); s.Failed != 10 || s.DiskBlocks != 0 || s.Misses != 10 {
			t.Errorf("%+v", s)
		}
	})
}

type failingReads struct{ durable.File }

func (failingReads) ReadAt([]byte, int64) (int, error) { return 0, errors.New("input/output error") }

func TestTheFileNeverPassesItsBudget(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	for range 2000 {
		budget := rnd.Int64N(1 << (17 + rnd.IntN(25)))
		slots := slotsIn(budget)
		if slots == 0 {
			continue
		}
		if end := slotOffset(slots-1) + BlockSize; end > budget {
			t.Fatalf("%d slots need %d bytes, %d are allowed", slots, end, budget)
		}
		if end := slotOffset(slots) + BlockSize; end <= budget {
			t.Fatalf("%d bytes have room for more than %d slots", budget, slots)
		}
	}
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(saved{key: keyOf(9), at: location{length: BlockSize}, stamp: 7, frequent: true}.encode())
	f.Add(make([]byte, entrySize))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, ok := decodeEntry(b, 3)
		if !ok {
			return
		}
		if s.at.length < 1 || s.at.length > BlockSize {
			t.Fatalf("a block of %d bytes", s.at.length)
		}
		again, ok := decodeEntry(s.encode(), 3)
		if !ok || again != s {
			t.Fatalf("%+v became %+v", s, again)
		}
	})
}
