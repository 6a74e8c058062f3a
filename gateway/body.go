package gateway

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strconv"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/gateway/sigv4"
	"github.com/cairn-storage/cairn/store"
)

// MaxObject is the largest body of one PUT in bytes, as S3 has it.
const MaxObject = 5 << 30

// decodeBuffer is what an aws-chunked body costs beside what the store holds.
const decodeBuffer = 32 << 10

func newDecodeReader() any { return bufio.NewReaderSize(nil, decodeBuffer) }

// body is the content that a client sends, decoded. It ends with io.EOF only
// when length, signatures, hashes and checksum are all as the client said;
// whoever keeps bytes before that must be ready to forget them.
type body struct {
	src  io.Reader
	dec  *sigv4.Reader // nil when src is not encoded
	left int64         // bytes still to come

	md5 hash.Hash // the ETag
	sha hash.Hash // nil unless the client signed the hash of the body
	sum hash.Hash // nil unless a checksum was asked for; may be sha

	wantMD5   []byte   // nil when not sent
	wantSHA   string   // hex
	want      checksum // Value empty until its trailer came
	inTrailer bool
	err       error // sticky
}

// openBody returns r's body and its size. release gives its buffers back and
// must follow every read.
func (g *Gateway) openBody(r *request) (b *body, size int64, release func(), err error) {
	if size, err = bodySize(r); err != nil {
		return nil, 0, nil, err
	}
	b = &body{src: r.wire, left: size, md5: md5.New(), wantSHA: r.payload.SHA256}
	if b.want, b.inTrailer, err = askedChecksum(r.Header, r.payload); err != nil {
		return nil, 0, nil, err
	}
	// Nix sends the MD5 of the whole object to come when it begins an upload.
	if v, given := r.Header["Content-Md5"]; given && r.op.name != "CreateMultipartUpload" {
		b.wantMD5, err = base64.StdEncoding.DecodeString(v[0])
		if err != nil || len(b.wantMD5) != md5.Size {
			return nil, 0, nil, fail(codeInvalidDigest, "Content-MD5 is not the base64 of 16 bytes")
		}
	}
	if b.wantSHA != "" {
		b.sha = sha256.New()
	}
	if b.want.algorithm != nil {
		if b.sha != nil && b.want.algorithm.name == "SHA256" {
			b.sum = b.sha // one hash serves both
		} else {
			b.sum = b.want.algorithm.make()
		}
	}
	release = func() {}
	switch {
	case r.gathered != nil:
		b.src = bytes.NewReader(r.gathered)
	case r.payload.Chunked:
		if err := g.reserve(r, decodeBuffer); err != nil {
			return nil, 0, nil, err
		}
		buffered := g.readers.Get().(*bufio.Reader)
		buffered.Reset(r.wire)
		b.dec = sigv4.NewReader(buffered, r.payload, size, r.chain)
		b.src = b.dec
		release = func() {
			b.fail(errClosed)
			buffered.Reset(nil)
			g.readers.Put(buffered)
		}
	}
	return b, size, release, nil
}

// errClosed is what a body gives after its buffers went back.
var errClosed = errors.New("gateway: the body was read after its request ended")

// bodySize is the size of r's content: Content-Length, or what an encoded
// body announces beside it.
func bodySize(r *request) (int64, error) {
	size := r.ContentLength
	if r.payload.Chunked {
		v := r.Header.Get("X-Amz-Decoded-Content-Length")
		if v == "" {
			return 0, fail(codeMissingLength, "an aws-chunked body needs the header x-amz-decoded-content-length")
		}
		n, err := strconv.ParseUint(v, 10, 63)
		if err != nil {
			return 0, fail(codeInvalidArgument, "x-amz-decoded-content-length %q is not a number of bytes", v)
		}
		size = int64(n)
	} else if hasToken(r.Header.Values("Content-Encoding"), "aws-chunked") {
		// Stored as it is, the object would hold the framing.
		return 0, fail(codeInvalidRequest, "Content-Encoding: aws-chunked needs an x-amz-content-sha256 of STREAMING-...")
	}
	switch {
	case size < 0:
		return 0, fail(codeMissingLength, "a body needs a Content-Length")
	case size > MaxObject:
		return 0, fail(codeEntityTooLarge, "the body has %d bytes, at most %d go into one PUT: use a multipart upload", size, int64(MaxObject))
	}
	return size, nil
}

func hasToken(values []string, token string) bool {
	for _, v := range values {
		for t := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.src.Read(p)
	b.md5.Write(p[:n])
	if b.sha != nil {
		b.sha.Write(p[:n])
	}
	if b.sum != nil && b.sum != b.sha {
		b.sum.Write(p[:n])
	}
	b.left -= int64(n)
	switch {
	case err == io.EOF:
		err = b.verify()
	case err != nil:
		err = encodingError(err)
	}
	b.err = err
	return n, err
}

// verify returns io.EOF when all is as the client said.
func (b *body) verify() error {
	if b.left != 0 {
		return fail(codeIncompleteBody, "the body is %d bytes short of its announced length", b.left)
	}
	if b.inTrailer {
		if err := b.want.fromTrailer(b.dec.Trailer()); err != nil {
			return err
		}
	}
	if b.sha != nil && hex.EncodeToString(b.sha.Sum(nil)) != b.wantSHA {
		return fail(codeSHA256Mismatch, "the body's SHA-256 is not the one in x-amz-content-sha256; nothing was stored")
	}
	if b.wantMD5 != nil && !bytes.Equal(b.md5.Sum(nil), b.wantMD5) {
		return fail(codeBadDigest, "the body's MD5 is not the one in Content-MD5; nothing was stored")
	}
	if b.sum != nil && base64.StdEncoding.EncodeToString(b.sum.Sum(nil)) != b.want.value {
		return fail(codeBadDigest, "the body's %s is not the one the client sent; nothing was stored", b.want.algorithm.name)
	}
	return io.EOF
}

// digest is store.Put.Digest.
func (b *body) digest() (store.Digest, error) {
	if b.err == nil { // a store that stops at the size has not seen the proof
		var one [1]byte
		if n, err := io.ReadFull(b, one[:]); n > 0 && err == nil {
			return store.Digest{}, fail(codeIncompleteBody, "the body is longer than was announced")
		}
	}
	if b.err != io.EOF {
		return store.Digest{}, b.err
	}
	d := store.Digest{ETag: hex.EncodeToString(b.md5.Sum(nil))}
	if b.sum != nil {
		d.Checksum = []cairn.Checksum{{Algorithm: b.want.algorithm.name, Value: b.want.value}}
	}
	return d, nil
}

// failed is the error that the client caused, if it did.
func (b *body) failed() error {
	if b.err == io.EOF {
		return nil
	}
	return b.err
}

func (b *body) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// encodingError says in S3's words what is wrong with an aws-chunked body.
func encodingError(err error) error {
	f := &failure{message: err.Error() + "; nothing was stored", cause: err}
	switch {
	case errors.Is(err, sigv4.ErrMismatch):
		f.code = codeSignatureMismatch
	case errors.Is(err, sigv4.ErrTrailer):
		f.code = codeMalformedTrailer
	case errors.Is(err, sigv4.ErrLength), errors.Is(err, io.ErrUnexpectedEOF):
		f.code = codeIncompleteBody
	case errors.Is(err, sigv4.ErrEncoding):
		f.code = codeInvalidRequest
	default:
		return err // the wire's own
	}
	return f
}
