package durable

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
)

// TestMemAnswersLikeTheRealOne takes random steps on both.
func TestMemAnswersLikeTheRealOne(t *testing.T) {
	for seed := range uint64(8) {
		dice := rand.New(rand.NewPCG(seed, 1))
		mem, real, root := NewMem(), OS(), t.TempDir()
		names := []string{"a", "b", "d", "d/a", "d/b", "d/e", "d/e/a"}
		name := func() string { return names[dice.IntN(len(names))] }
		for range 120 {
			what, one, two := dice.IntN(8), name(), name()
			run := func(on FS, root string) string {
				at := func(n string) string { return root + "/" + n }
				switch what {
				case 0:
					f, err := on.Create(at(one))
					return answer(err, func() string { return write(f, two) })
				case 1:
					return answer(on.MkdirAll(at(one)), nil)
				case 2:
					return answer(on.Remove(at(one)), nil)
				case 3:
					return answer(on.Rename(at(one), at(two)), nil)
				case 4:
					list, err := on.List(at(one))
					return answer(err, func() string { return strings.Join(list, " ") })
				case 5:
					b, err := ReadFile(on, at(one), 1<<20)
					return answer(err, func() string { return string(b) })
				case 6:
					f, err := on.OpenReadWrite(at(one))
					return answer(err, func() string { return write(f, two) })
				default:
					return answer(WriteFile(on, at(one), []byte(two)), nil)
				}
			}
			got, want := run(mem, ""), run(real, root)
			if got != want {
				t.Fatalf("seed %d: step %d on %s, %s: mem says %q, the real one %q", seed, what, one, two, got, want)
			}
		}
		checkUsed(t, mem)
	}
}

func write(f File, data string) string {
	size, _ := f.Size()
	_, err := f.WriteAt([]byte(data), size)
	return fmt.Sprint(size, err, f.Close())
}

func answer(err error, then func() string) string {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return errno.Error()
	case err != nil:
		return "error"
	case then == nil:
		return "ok"
	}
	return then()
}

// checkUsed compares the space accounting of m with its files.
func checkUsed(t *testing.T, m *Mem) {
	t.Helper()
	seen := map[*node]bool{}
	var sum int64
	var walk func(n *node)
	walk = func(n *node) {
		if !seen[n] {
			seen[n] = true
			sum += n.charge()
		}
		for _, k := range n.kids {
			walk(k)
		}
	}
	walk(m.tree.root)
	if m.tree.used != sum {
		t.Errorf("%d bytes are accounted for, the files have %d", m.tree.used, sum)
	}
}
