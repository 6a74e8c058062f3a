package gateway

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"net/http"
	"strings"

	"github.com/minio/crc64nvme"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/gateway/sigv4"
)

const checksumPrefix = "x-amz-checksum-"

// checksumAlgorithm is one of S3's.
type checksumAlgorithm struct {
	name string // as S3 spells it; in lower case the end of its header
	size int    // bytes
	make func() hash.Hash
}

var checksumAlgorithms = []*checksumAlgorithm{
	{"CRC32", 4, func() hash.Hash { return crc32.NewIEEE() }},
	{"CRC32C", 4, func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) }},
	{"CRC64NVME", 8, func() hash.Hash { return crc64nvme.New() }},
	{"SHA1", sha1.Size, sha1.New},
	{"SHA256", sha256.Size, sha256.New},
}

// algorithmOf finds the algorithm of a checksum header, in lower case.
func algorithmOf(header string) *checksumAlgorithm {
	for _, a := range checksumAlgorithms {
		if header == checksumPrefix+strings.ToLower(a.name) {
			return a
		}
	}
	return nil
}

// checksum is what a body must come to; the zero value asks for nothing.
type checksum struct {
	algorithm *checksumAlgorithm
	value     string // base64
}

// askedChecksum reads which checksum the client sent as a header, or
// announces for the trailer of its body. There may be one.
func askedChecksum(h http.Header, p sigv4.Payload) (c checksum, inTrailer bool, err error) {
	found := 0
	for name, values := range h {
		if !strings.HasPrefix(name, "X-Amz-Checksum-") {
			continue
		}
		lower := strings.ToLower(name)
		switch {
		case lower == "x-amz-checksum-mode", lower == "x-amz-checksum-algorithm":
			continue
		case lower == "x-amz-checksum-type" && values[0] == "FULL_OBJECT":
			continue
		case lower == "x-amz-checksum-type":
			return c, false, notImplemented("a single PUT with the header x-amz-checksum-type: " + values[0])
		}
		a := algorithmOf(lower)
		if a == nil {
			return c, false, notImplemented("the checksum " + lower)
		}
		found += len(values)
		c.algorithm = a
		if c.value, err = a.parse(values[0]); err != nil {
			return c, false, err
		}
	}
	for _, v := range h["X-Amz-Trailer"] {
		for name := range strings.SplitSeq(v, ",") {
			name = strings.ToLower(strings.TrimSpace(name))
			if name == "" {
				continue
			}
			a := algorithmOf(name)
			if a == nil {
				return c, false, fail(codeInvalidRequest, "x-amz-trailer %q is not supported, only checksums are", name)
			}
			found++
			c, inTrailer = checksum{algorithm: a}, true
		}
	}
	switch {
	case found > 1:
		return c, false, fail(codeInvalidRequest, "expecting a single x-amz-checksum- header or trailer")
	case inTrailer && !p.Trailers:
		return c, false, fail(codeInvalidRequest, "x-amz-trailer needs an x-amz-content-sha256 of STREAMING-...-TRAILER")
	}
	return c, inTrailer, nil
}

// parse checks that value can be a checksum of this kind.
func (a *checksumAlgorithm) parse(value string) (string, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(value)
	if err != nil || len(raw) != a.size {
		return "", fail(codeInvalidRequest, "the value of %s%s is not the base64 of %d bytes", checksumPrefix, strings.ToLower(a.name), a.size)
	}
	return value, nil
}

// fromTrailer takes the announced value, which must be there, alone.
func (c *checksum) fromTrailer(fields []sigv4.Field) (err error) {
	name := checksumPrefix + strings.ToLower(c.algorithm.name)
	if len(fields) != 1 || fields[0].Name != name {
		return fail(codeMalformedTrailer, "the body must end with the trailer %s and no other; nothing was stored", name)
	}
	c.value, err = c.algorithm.parse(fields[0].Value)
	return err
}

// setChecksums writes an object's checksums into an answer.
func setChecksums(h http.Header, sums []cairn.Checksum) {
	for _, s := range sums {
		h.Set(checksumPrefix+s.Algorithm, s.Value)
		kind := "FULL_OBJECT"
		if strings.Contains(s.Value, "-") { // base64 has none: a composite of parts
			kind = "COMPOSITE"
		}
		h.Set("x-amz-checksum-type", kind)
	}
}
