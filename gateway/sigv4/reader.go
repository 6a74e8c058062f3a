package sigv4

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
)

// Reader gives the content of an aws-chunked body. It hands bytes on before
// their chunk's signature is seen, so memory does not grow with the chunk;
// nothing read may be kept unless the Reader ends with io.EOF, which it does
// only after every signature matched, the length was as announced and the
// body held nothing more.
type Reader struct {
	src      *bufio.Reader
	chain    *Chain // nil when chunks are not signed
	trailers bool

	sum      hash.Hash // of the current chunk; nil without a chain
	want     [signatureLength]byte
	left     int64 // of the current chunk
	expected int64 // content bytes still to come in all
	fields   []Field
	err      error // sticky
}

// NewReader decodes src, whose buffer must hold at least 1 KiB, into size
// bytes of content. chain is what Verify returned; it is used only when p is
// chained.
func NewReader(src *bufio.Reader, p Payload, size int64, chain *Chain) *Reader {
	r := &Reader{src: src, trailers: p.Trailers, expected: size}
	if p.Chained {
		r.chain, r.sum = chain, sha256.New()
	}
	return r
}

// Read implements io.Reader. Its errors are ErrMismatch, ErrEncoding,
// ErrLength, ErrTrailer, io.ErrUnexpectedEOF for a body that ends early, and
// whatever the source returns.
func (r *Reader) Read(p []byte) (int, error) {
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	if r.left == 0 {
		if r.err = r.open(); r.err != nil {
			return 0, r.err
		}
	}
	n, err := r.src.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if r.sum != nil {
		r.sum.Write(p[:n])
	}
	switch {
	case r.left == 0:
		err = r.shut()
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	r.err = err
	return n, err
}

// open reads a chunk's header. io.EOF means that this was the last one, and
// that all after it is good.
func (r *Reader) open() error {
	line, err := r.line()
	if err != nil {
		return noEOF(err)
	}
	size, rest, err := parseSize(line)
	if err != nil {
		return err
	}
	if r.chain != nil {
		signature, ok := bytes.CutPrefix(rest, []byte(";"+chunkSignature))
		if !ok || len(signature) != signatureLength {
			return fmt.Errorf("a chunk has no signature: %w", ErrEncoding)
		}
		copy(r.want[:], signature)
		r.sum.Reset()
	}
	if size > r.expected {
		return ErrLength
	}
	r.expected -= size
	r.left = size
	if size > 0 {
		return nil
	}
	if err := r.verify(); err != nil {
		return err
	}
	if r.expected > 0 {
		return io.ErrUnexpectedEOF
	}
	if err := r.end(); err != nil {
		return err
	}
	return io.EOF
}

// shut reads what ends a chunk and checks its signature.
func (r *Reader) shut() error {
	line, err := r.line()
	if err != nil {
		return noEOF(err)
	}
	if len(line) != 0 {
		return fmt.Errorf("a chunk is longer than its header says: %w", ErrEncoding)
	}
	return r.verify()
}

func (r *Reader) verify() error {
	if r.chain == nil {
		return nil
	}
	var sum [sha256.Size]byte
	return r.chain.check(payloadAlgorithm, r.sum.Sum(sum[:0]), r.want[:])
}

// line returns the next line without its end, valid until the next read.
func (r *Reader) line() ([]byte, error) {
	line, err := r.src.ReadSlice('\n')
	if err == bufio.ErrBufferFull || len(line) > maxLine {
		return nil, fmt.Errorf("a line has over %d bytes: %w", maxLine, ErrEncoding)
	}
	if err != nil {
		return line, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

// parseSize reads the hex digits that a chunk's header begins with.
func parseSize(line []byte) (size int64, rest []byte, err error) {
	i := 0
	for ; i < len(line) && i < maxSizeHexDigits; i++ {
		d := unhex(line[i])
		if d > 15 {
			break
		}
		if size > (1<<63-1)>>4 {
			return 0, nil, ErrLength
		}
		size = size<<4 | int64(d)
	}
	if i == 0 || i < len(line) && line[i] != ';' {
		return 0, nil, fmt.Errorf("a chunk's header has no size: %w", ErrEncoding)
	}
	return size, line[i:], nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
