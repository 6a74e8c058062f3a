package gateway

import (
	"encoding/base64"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// partsOfContent cuts content into parts with a checksum each.
func partsOfContent(content []byte, a *checksumAlgorithm, cuts ...int) (parts []store.Part) {
	slices.Sort(cuts)
	from := 0
	for i, to := range append(cuts, len(content)) {
		h := a.make()
		h.Write(content[from:to])
		parts = append(parts, store.Part{Number: i + 1, Size: int64(to - from), Checksum: []cairn.Checksum{a.value(h)}})
		from = to
	}
	return parts
}

func TestCombinedCRCIsThatOfTheBytes(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	content := make([]byte, 100_003)
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	for _, name := range []string{"CRC32", "CRC32C", "CRC64NVME"} {
		a := algorithmNamed(name)
		for round := range 60 {
			run := content[:random.IntN(len(content)+1)]
			var cuts []int
			for range round % 12 {
				cuts = append(cuts, random.IntN(len(run)+1)) // some parts are empty
			}
			h := a.make()
			h.Write(run)
			got, err := wholeChecksum(partsOfContent(run, a, cuts...), a, true)
			if err != nil || got != a.value(h) {
				t.Fatalf("%s of %d bytes cut at %v: %v %v, want %v", name, len(run), cuts, got, err, a.value(h))
			}
		}
	}
}

// The check values of the CRC catalogue for "123456789" from its two ends.
func TestCombinedCRCIsTheStandardOne(t *testing.T) {
	for name, want := range map[string]uint64{"CRC32": 0xcbf43926, "CRC32C": 0xe3069283, "CRC64NVME": 0xae8b14860a799888} {
		a := algorithmNamed(name)
		c, _ := combinerOf(a)
		for cut := range 10 {
			parts := partsOfContent([]byte("123456789"), a, cut)
			first, _ := c.decode(parts[0].Checksum[0].Value)
			second, _ := c.decode(parts[1].Checksum[0].Value)
			if got := c.combine(first, second, int64(9-cut)); got != want {
				t.Errorf("%s cut at %d: %x, want %x", name, cut, got, want)
			}
		}
	}
}

// Zeros after a CRC of more bytes than any part has: 5 GiB come to the same
// as 5 GiB in five steps.
func TestCombineReachesTheLongestPart(t *testing.T) {
	for _, name := range []string{"CRC32", "CRC32C", "CRC64NVME"} {
		c, _ := combinerOf(algorithmNamed(name))
		at := c.combine(0x12345678, 0, MaxObject)
		stepped := uint64(0x12345678)
		for range 5 {
			stepped = c.combine(stepped, 0, 1<<30)
		}
		if at != stepped {
			t.Errorf("%s: %x in one step, %x in five", name, at, stepped)
		}
	}
}

func TestOnlyCRCsCombine(t *testing.T) {
	for _, name := range []string{"SHA1", "SHA256"} {
		a := algorithmNamed(name)
		if _, ok := combinerOf(a); ok {
			t.Errorf("%s has a combiner", name)
		}
		if _, err := wholeChecksum(partsOfContent([]byte("x"), a), a, true); err == nil {
			t.Errorf("a full-object %s was made up", name)
		}
	}
	for _, full := range []bool{false, true} {
		for _, bad := range []string{"", "AAAA", base64.StdEncoding.EncodeToString(make([]byte, 5))} {
			parts := []store.Part{{Number: 1, Checksum: []cairn.Checksum{{Algorithm: "CRC32", Value: bad}}}}
			if got, err := wholeChecksum(parts, algorithmNamed("CRC32"), full); err == nil {
				t.Errorf("a part with the CRC %q gave %v", bad, got)
			}
		}
	}
}
