package gateway

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// How a checksum of an object of parts is made, as S3 calls it.
const (
	composite  = "COMPOSITE"   // of its parts' checksums, "-N" at its end
	fullObject = "FULL_OBJECT" // of its bytes
)

// compositeETag is S3's ETag of an object of parts: the MD5 of their MD5s, and
// how many they are.
func compositeETag(parts []listedPart) string {
	h := md5.New()
	for _, p := range parts {
		h.Write(p.md5[:])
	}
	return hex.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts))
}

// wholeChecksum is the checksum of the object that parts make, from theirs.
func wholeChecksum(parts []store.Part, a *checksumAlgorithm, full bool) (cairn.Checksum, error) {
	if full {
		return combinedChecksum(parts, a)
	}
	h := a.make()
	for _, p := range parts {
		raw, err := base64.StdEncoding.DecodeString(checksumOf(p, a))
		if err != nil || len(raw) != a.size {
			return cairn.Checksum{}, errUnsummed(p, a)
		}
		h.Write(raw)
	}
	value := base64.StdEncoding.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts))
	return cairn.Checksum{Algorithm: a.name, Value: value}, nil
}

// combinedChecksum is the CRC of the bytes of all parts, without reading them.
func combinedChecksum(parts []store.Part, a *checksumAlgorithm) (cairn.Checksum, error) {
	c, ok := combinerOf(a)
	if !ok {
		return cairn.Checksum{}, fmt.Errorf("gateway: %s of a whole object cannot be made from its parts'", a.name)
	}
	var whole uint64 // of no bytes
	for _, p := range parts {
		crc, ok := c.decode(checksumOf(p, a))
		if !ok {
			return cairn.Checksum{}, errUnsummed(p, a)
		}
		whole = c.combine(whole, crc, p.Size)
	}
	return cairn.Checksum{Algorithm: a.name, Value: c.encode(whole)}, nil
}

// errUnsummed is a bug: no part enters an upload with an algorithm without
// its checksum.
func errUnsummed(p store.Part, a *checksumAlgorithm) error {
	return fmt.Errorf("gateway: part %d has no %s", p.Number, a.name)
}

// checksumOf is p's checksum of algorithm a in base64, "" when it has none.
func checksumOf(p store.Part, a *checksumAlgorithm) string {
	for _, c := range p.Checksum {
		if c.Algorithm == a.name {
			return c.Value
		}
	}
	return ""
}

// typeOfWhole is the word for how the checksum of an upload's object is made.
func typeOfWhole(full bool) string {
	if full {
		return fullObject
	}
	return composite
}

// algorithmNamed finds an algorithm by its name, as S3 spells it or in lower
// case; nil when there is none.
func algorithmNamed(name string) *checksumAlgorithm {
	return algorithmOf(checksumPrefix + strings.ToLower(name))
}

// of is the checksum of an algorithm in x, "" when there is none.
func (x *checksumsXML) of(a *checksumAlgorithm) string {
	switch a.name {
	case "CRC32":
		return x.ChecksumCRC32
	case "CRC32C":
		return x.ChecksumCRC32C
	case "CRC64NVME":
		return x.ChecksumCRC64NVME
	case "SHA1":
		return x.ChecksumSHA1
	case "SHA256":
		return x.ChecksumSHA256
	}
	return ""
}
