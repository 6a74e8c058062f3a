package sigv4

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Field is one trailing header of a body.
type Field struct{ Name, Value string } // Name in lower case

// Trailer is the fields that followed the last chunk, without the signature
// over them. It is complete once Read returned io.EOF.
func (r *Reader) Trailer() []Field { return r.fields }

// end reads all that follows the last chunk, to the end of the body: blank
// lines, which clients use differently, and trailer fields.
func (r *Reader) end() error {
	var signature []byte
	for range maxTrailerLines {
		line, err := r.line()
		if err != nil && err != io.EOF {
			return err
		}
		last := err == io.EOF // a final line may lack its end
		if line = bytes.TrimSpace(line); len(line) > 0 {
			name, value, ok := bytes.Cut(line, []byte(":"))
			if !ok || len(name) == 0 || !r.trailers {
				return ErrTrailer
			}
			f := Field{strings.ToLower(string(bytes.TrimSpace(name))), string(bytes.TrimSpace(value))}
			switch {
			case f.Name == trailerSignature && signature == nil:
				signature = []byte(f.Value)
			case f.Name == trailerSignature, slices.ContainsFunc(r.fields, func(g Field) bool { return g.Name == f.Name }):
				return fmt.Errorf("%s is given twice: %w", f.Name, ErrTrailer)
			default:
				r.fields = append(r.fields, f)
			}
		}
		if last {
			return r.verifyTrailer(signature)
		}
	}
	return ErrTrailer
}

func (r *Reader) verifyTrailer(signature []byte) error {
	if r.chain == nil || !r.trailers {
		return nil
	}
	slices.SortFunc(r.fields, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	var canonical []byte
	for _, f := range r.fields {
		canonical = append(append(canonical, f.Name...), ':')
		canonical = append(append(canonical, f.Value...), '\n')
	}
	sum := sha256.Sum256(canonical)
	return r.chain.check(trailerAlgorithm, sum[:], signature)
}
