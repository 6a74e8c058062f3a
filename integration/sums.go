package integration

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
)

// sums are the checksums that S3 has, by name. CRC64NVME is made from its
// polynomial with the standard library, not with what the product uses.
var sums = []struct {
	Name string
	Make func() hash.Hash
}{
	{"CRC32", func() hash.Hash { return crc32.NewIEEE() }},
	{"CRC32C", func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }},
	{"CRC64NVME", func() hash.Hash { return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) }},
	{"SHA1", sha1.New},
	{"SHA256", sha256.New},
}

// Sum is the base64 of the checksum of that name; "" for a name that is none.
func Sum(name string, body []byte) string {
	for _, s := range sums {
		if s.Name == name {
			h := s.Make()
			h.Write(body)
			return base64.StdEncoding.EncodeToString(h.Sum(nil))
		}
	}
	return ""
}

// MD5 is the base64 for Content-MD5.
func MD5(body []byte) string {
	hash := md5.Sum(body)
	return base64.StdEncoding.EncodeToString(hash[:])
}
