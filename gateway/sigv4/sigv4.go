// Package sigv4 verifies AWS Signature Version 4 as S3 uses it: in the
// Authorization header, in the query and, for bodies that are signed while they
// are sent, in the body. It computes over what it is given: it knows no keys, permissions,
// objects or S3 error codes, does no I/O of its own and reads no clock.
//
// Reading order: sigv4.go (payload modes, errors), authorization.go (the header
// taken apart), presigned.go (the query taken apart), canonical.go (what is signed), verify.go (the signature), chain.go
// (signatures in the body), reader.go and trailer.go (the aws-chunked encoding).
//
// A chunk here is always AWS's: one signed run of an aws-chunked body on the
// wire. The word names nothing of cairn's own.
package sigv4

import (
	"errors"
	"fmt"
)

// Values of x-amz-content-sha256 other than the hex SHA-256 of the body.
const (
	Unsigned         = "UNSIGNED-PAYLOAD"
	Signed           = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	SignedTrailer    = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	UnsignedTrailer  = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	EmptySHA256      = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	algorithm        = "AWS4-HMAC-SHA256"
	terminator       = "aws4_request"
	TimeFormat       = "20060102T150405Z" // x-amz-date
	dateFormat       = "20060102"         // the date of a scope
	service          = "s3"
	signatureLength  = 64 // hex digits of an HMAC-SHA256
	trailerSignature = "x-amz-trailer-signature"
	chunkSignature   = "chunk-signature="
	payloadAlgorithm = algorithm + "-PAYLOAD"
	trailerAlgorithm = algorithm + "-TRAILER"
	amzPrefix        = "x-amz-"
	payloadHeader    = "x-amz-content-sha256"
	querySignature   = "X-Amz-Signature"
	maxLine          = 1024 // bytes of a chunk header or trailer line; real ones have under 200
	maxTrailerLines  = 16   // lines after the last chunk, blank ones too
	maxSizeHexDigits = 16
)

// What can be wrong with a signature or the encoding that carries it.
// Truncation is io.ErrUnexpectedEOF.
var (
	ErrMalformed = errors.New("authorization is malformed")
	ErrUnsigned  = errors.New("a header that must be signed is not")
	ErrMismatch  = errors.New("signature does not match")
	ErrEncoding  = errors.New("body is not in the aws-chunked encoding it claims")
	ErrLength    = errors.New("body is longer than x-amz-decoded-content-length")
	ErrTrailer   = errors.New("trailer is malformed")
)

// Payload is how a body is protected, as x-amz-content-sha256 declares it.
type Payload struct {
	Value    string // what stands in the canonical request
	Chunked  bool   // the body is aws-chunked
	Chained  bool   // each chunk carries a signature
	Trailers bool   // fields may follow the last chunk
	SHA256   string // hex hash that the whole body must have; empty when not declared
}

// ParsePayload reads a value of x-amz-content-sha256 that is not empty. The
// error says which values are understood.
func ParsePayload(v string) (Payload, error) {
	switch v {
	case Unsigned:
		return Payload{Value: v}, nil
	case Signed:
		return Payload{Value: v, Chunked: true, Chained: true}, nil
	case SignedTrailer:
		return Payload{Value: v, Chunked: true, Chained: true, Trailers: true}, nil
	case UnsignedTrailer:
		return Payload{Value: v, Chunked: true, Trailers: true}, nil
	}
	if !isHex(v, 64) {
		return Payload{}, fmt.Errorf("x-amz-content-sha256 must be %s, %s, %s, %s or 64 lower-case hex digits",
			Unsigned, Signed, SignedTrailer, UnsignedTrailer)
	}
	return Payload{Value: v, SHA256: v}, nil
}

func isHex(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
