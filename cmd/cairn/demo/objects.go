package demo

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
)

// sizes is how large the objects of a Nix cache are: a run of sizes in KiB and
// its share of all objects in percent. Within a run they are log-uniform.
var sizes = []struct{ from, to, percent float64 }{
	{0.02, 1, 0.10}, {1, 2, 0.35}, {2, 4, 2.52}, {4, 8, 10.28}, {8, 12, 13.61}, {12, 16, 13.03},
	{16, 24, 20.81}, {24, 32, 12.99}, {32, 48, 13.71}, {48, 64, 6.35}, {64, 96, 4.31}, {96, 128, 1.31},
	{128, 192, 0.52}, {192, 256, 0.08},
}

// objects makes up what load puts: number i depends on the seed and i only, so
// that every byte can be compared again by a later run that knows the seed.
type objects struct{ seed uint64 }

// key is <uuid v4>.chunk, as attic names what it stores.
func (o objects) key(i int) string {
	r := o.rand(i)
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], r.Uint64())
	binary.BigEndian.PutUint64(id[8:], r.Uint64())
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x.chunk", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// body is the content: incompressible, and like no other object's.
func (o objects) body(i int) []byte {
	var key, iv [16]byte
	binary.BigEndian.PutUint64(key[:], o.seed)
	binary.BigEndian.PutUint64(iv[:], uint64(i))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("demo: " + err.Error()) // unreachable: the size is right
	}
	b := make([]byte, o.size(i))
	cipher.NewCTR(block, iv[:]).XORKeyStream(b, b)
	return b
}

func (o objects) size(i int) int {
	r := o.rand(i)
	r.Uint64() // key's
	r.Uint64()
	draw := r.Float64() * 100
	run := sizes[len(sizes)-1]
	for _, s := range sizes {
		if draw < s.percent {
			run = s
			break
		}
		draw -= s.percent
	}
	return int(1024 * math.Exp(math.Log(run.from)+r.Float64()*(math.Log(run.to)-math.Log(run.from))))
}

func (o objects) rand(i int) *rand.Rand { return rand.New(rand.NewPCG(o.seed, uint64(i))) }
