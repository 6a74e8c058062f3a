package durable

import (
	"fmt"
	"testing"
)

// BenchmarkAppendSync64KiB is one group of the stage: 64 KiB appended and
// made durable, with and without room reserved before.
func BenchmarkAppendSync64KiB(b *testing.B) {
	const group, room = 64 << 10, 16 << 20 // a pack is full then
	data := make([]byte, group)
	for _, home := range []struct {
		name string
		make func(b *testing.B) (FS, string)
	}{
		{"os", func(b *testing.B) (FS, string) { return OS(), b.TempDir() + "/" }},
		{"os-counted", func(b *testing.B) (FS, string) { on, _ := Count(OS()); return on, b.TempDir() + "/" }},
		{"mem", func(*testing.B) (FS, string) { return NewMem(), "/" }},
		{"mem-counted", func(*testing.B) (FS, string) { on, _ := Count(NewMem()); return on, "/" }},
	} {
		for _, reserve := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/reserved=%v", home.name, reserve), func(b *testing.B) {
				on, dir := home.make(b)
				b.SetBytes(group)
				b.ReportAllocs()
				var f File
				off, n := int64(room), 0
				for b.Loop() {
					if off == room {
						b.StopTimer()
						if f != nil {
							if err := f.Close(); err != nil {
								b.Fatal(err)
							}
							if err := on.Remove(fmt.Sprint(dir, n)); err != nil {
								b.Fatal(err)
							}
						}
						var err error
						n++
						if f, err = on.Create(fmt.Sprint(dir, n)); err != nil {
							b.Fatal(err)
						}
						if reserve {
							if err := f.Allocate(0, room); err != nil {
								b.Fatal(err)
							}
						}
						if err := on.SyncDir(dir); err != nil {
							b.Fatal(err)
						}
						off = 0
						b.StartTimer()
					}
					if _, err := f.WriteAt(data, off); err != nil {
						b.Fatal(err)
					}
					if err := f.Sync(); err != nil {
						b.Fatal(err)
					}
					off += group
				}
				if err := f.Close(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// BenchmarkCountedStep is what standing around a step costs.
func BenchmarkCountedStep(b *testing.B) {
	plain, counted := FS(NewMem()), FS(nil)
	counted, _ = Count(NewMem())
	for name, on := range map[string]FS{"plain": plain, "counted": counted} {
		b.Run(name, func(b *testing.B) {
			f, err := on.Create("a")
			if err != nil {
				b.Fatal(err)
			}
			data := make([]byte, 16)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.WriteAt(data, 0); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
