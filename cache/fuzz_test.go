package cache

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/durable"
)

// FuzzFile: whatever stands in the file, the cache opens or is of another
// store, and what it gives is what was put.
func FuzzFile(f *testing.F) {
	key := Key{Pack: cairn.PackID{1}, Block: 3}
	block := bytes.Repeat([]byte{7}, 100)
	config := func(m *durable.Mem) Config {
		return Config{MemoryBytes: 1 << 20, DiskBytes: 1 << 20, FS: m, Dir: "/", Store: cairn.StoreID{1}, MAC: [32]byte{3}}
	}
	m := durable.NewMem()
	c, err := New(config(m))
	if err != nil {
		f.Fatal(err)
	}
	c.Put(key, block)
	if err := c.Close(); err != nil {
		f.Fatal(err)
	}
	file, err := durable.ReadFile(m, "/"+fileName, 2<<20)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file[:headSize], uint32(0), []byte{})
	f.Add(file[:headSize], uint32(headSize+20), []byte{0xff, 0xff, 0xff, 0xff})
	f.Add(file[:headSize], uint32(slotOffset(0)), []byte{1})
	f.Fuzz(func(t *testing.T, head []byte, at uint32, more []byte) {
		if len(head) > len(file) || len(more) > len(file) {
			return
		}
		b := bytes.Clone(file)
		copy(b, head)
		copy(b[int(at)%len(b):], more)
		m := durable.NewMem()
		if err := durable.WriteFile(m, "/"+fileName, b); err != nil {
			t.Fatal(err)
		}
		c, err := New(config(m))
		if err != nil {
			if !errors.Is(err, cairn.ErrInvalid) {
				t.Error(err)
			}
			return
		}
		for try := 0; !c.Stats().Loaded && try < 1000; try++ {
			<-time.After(100 * time.Microsecond)
		}
		if got, ok := c.Get(key); ok && !bytes.Equal(got, block) {
			t.Errorf("%d bytes that were not put", len(got))
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}
