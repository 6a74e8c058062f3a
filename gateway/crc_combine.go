package gateway

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"

	"github.com/minio/crc64nvme"
)

// A CRC of two runs of bytes, one after the other, follows from the CRC of
// each and the length of the second: appending n bytes multiplies the first by
// x^8n modulo the polynomial, and then they add up. The method is that of
// zlib's crc32_combine (crc32.c, multmodp and x2nmodp), here for any reflected
// polynomial of up to 64 bits. Preset and final inversion, which all three of
// S3's CRCs have, cancel out.
type crcCombiner struct {
	poly uint64 // reflected: its highest bit is x^0
	one  uint64 // x^0
	size int    // bytes

	length int64  // of the last run appended
	power  uint64 // x^(8*length); most parts are of one length
}

// combinerOf returns a's combiner, or false when a is no CRC.
func combinerOf(a *checksumAlgorithm) (*crcCombiner, bool) {
	c := &crcCombiner{size: a.size, one: 1 << (8*a.size - 1)}
	switch a.name {
	case "CRC32":
		c.poly = crc32.IEEE
	case "CRC32C":
		c.poly = crc32.Castagnoli
	case "CRC64NVME":
		c.poly = crc64nvme.NVME
	default:
		return nil, false
	}
	c.power = c.one
	return c, true
}

// combine is the CRC of a run of CRC first, followed by n bytes of CRC second.
func (c *crcCombiner) combine(first, second uint64, n int64) uint64 {
	if n != c.length {
		c.length, c.power = n, c.powerOf(n)
	}
	return c.multiply(c.power, first) ^ second
}

// powerOf is x^(8*n).
func (c *crcCombiner) powerOf(n int64) uint64 {
	p, square := c.one, c.one>>8 // x^0 and x^8
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			p = c.multiply(square, p)
		}
		square = c.multiply(square, square)
	}
	return p
}

// multiply is a*b modulo the polynomial.
func (c *crcCombiner) multiply(a, b uint64) (p uint64) {
	for m := c.one; m != 0; m >>= 1 {
		if a&m != 0 {
			p ^= b
		}
		carry := b & 1
		b >>= 1
		if carry == 1 {
			b ^= c.poly
		}
	}
	return p
}

// decode reads a checksum's value; false when it is none of this CRC.
func (c *crcCombiner) decode(value string) (uint64, bool) {
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil || len(raw) != c.size {
		return 0, false
	}
	var v [8]byte
	copy(v[8-c.size:], raw)
	return binary.BigEndian.Uint64(v[:]), true
}

// encode is the inverse of decode.
func (c *crcCombiner) encode(crc uint64) string {
	var v [8]byte
	binary.BigEndian.PutUint64(v[:], crc)
	return base64.StdEncoding.EncodeToString(v[8-c.size:])
}
