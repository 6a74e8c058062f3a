package sigv4

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// The signing side, written apart from the code under test and proven by the
// published examples.

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	io.WriteString(h, s)
	return h.Sum(nil)
}

func hexSHA(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func exampleSigner(secret string, s Scope) func(text string) string {
	key := mac(mac(mac(mac([]byte("AWS4"+secret), s.Date), s.Region), "s3"), "aws4_request")
	return func(text string) string { return hex.EncodeToString(mac(key, text)) }
}

func signExample(canonical []byte, s Scope) string {
	return exampleSigner("s", s)("AWS4-HMAC-SHA256\n20130524T000000Z\n" + s.String() + "\n" + hexSHA(canonical))
}

// encode is the client's side of the aws-chunked encoding. sign is nil for
// unsigned bodies.
func encode(content []byte, size int, sign func(string) string, seed string, trailer ...string) []byte {
	const at = "20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n"
	var out bytes.Buffer
	previous := seed
	for {
		n := min(size, len(content))
		fmt.Fprintf(&out, "%x", n)
		if sign != nil {
			previous = sign("AWS4-HMAC-SHA256-PAYLOAD\n" + at + previous + "\n" + EmptySHA256 + "\n" + hexSHA(content[:n]))
			fmt.Fprintf(&out, ";chunk-signature=%s", previous)
		}
		out.WriteString("\r\n")
		if n == 0 {
			break
		}
		out.Write(content[:n])
		out.WriteString("\r\n")
		content = content[n:]
	}
	var canonical strings.Builder
	for _, line := range trailer {
		out.WriteString(line + "\r\n")
		canonical.WriteString(line + "\n")
	}
	if sign != nil && len(trailer) > 0 {
		out.WriteString("x-amz-trailer-signature:" + sign("AWS4-HMAC-SHA256-TRAILER\n"+at+previous+"\n"+hexSHA([]byte(canonical.String()))) + "\r\n")
	}
	out.WriteString("\r\n")
	return out.Bytes()
}

func exampleChain(t testing.TB, r Request, signed, payload, signature string) *Chain {
	t.Helper()
	a := Authorization{AccessKey: exampleKey, Scope: Scope{"20130524", "us-east-1"}, Headers: strings.Split(signed, ";"), Signature: signature}
	c, err := a.Verify(r, exampleSecret, payload, exampleTime)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	seedSigned  = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
	seedTrailer = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
)

// mode is one way to send a body.
type mode struct {
	payload string
	seed    string
	chain   func(testing.TB) *Chain
	trailer []string
}

func modes() []mode {
	return []mode{
		{Signed, seedSigned, func(t testing.TB) *Chain {
			return exampleChain(t, chunkedExample(Signed), chunkedHeaders, Signed, seedSigned)
		}, nil},
		{SignedTrailer, seedTrailer, func(t testing.TB) *Chain {
			return exampleChain(t, trailerExample(), trailerHeaders, SignedTrailer, seedTrailer)
		}, []string{"x-amz-checksum-crc32c:sOO8/Q=="}},
		{UnsignedTrailer, "", func(testing.TB) *Chain { return nil }, []string{"x-amz-checksum-crc32c:sOO8/Q=="}},
	}
}

func (m mode) encode(content []byte, size int) []byte {
	if m.payload == UnsignedTrailer {
		return encode(content, size, nil, "", m.trailer...)
	}
	return encode(content, size, exampleSigner(exampleSecret, Scope{"20130524", "us-east-1"}), m.seed, m.trailer...)
}

func (m mode) reader(t testing.TB, wire io.Reader, size int64) *Reader {
	p, err := ParsePayload(m.payload)
	if err != nil {
		t.Fatal(err)
	}
	return NewReader(bufio.NewReaderSize(wire, 2048), p, size, m.chain(t))
}

func TestPublishedChunkSignaturesVerify(t *testing.T) {
	content := bytes.Repeat([]byte("a"), 66560)
	wire := string(modes()[0].encode(content, 65536))
	for _, s := range []string{
		"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n",
		"400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n",
		"0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n",
	} {
		if !strings.Contains(wire, s) {
			t.Errorf("the encoder under the tests does not make the published %q", s)
		}
	}
	if len(wire) != 66824 {
		t.Errorf("the encoded body has %d bytes, the published one 66824", len(wire))
	}
	trailing := string(modes()[1].encode(content, 65536))
	for _, s := range []string{
		"10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n",
		"400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n",
		"0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n",
		"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n",
	} {
		if !strings.Contains(trailing, s) {
			t.Errorf("the encoder under the tests does not make the published %q", s)
		}
	}
	for i, w := range []string{wire, trailing} {
		got, err := io.ReadAll(modes()[i].reader(t, strings.NewReader(w), 66560))
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes, %v", modes()[i].payload, len(got), err)
		}
	}
}

func TestDamagedBodiesNeverEndCleanly(t *testing.T) {
	content := []byte(strings.Repeat("0123456789abcdef", 20))
	replace := func(old, new string) func([]byte) []byte {
		return func(b []byte) []byte {
			if !bytes.Contains(b, []byte(old)) {
				panic("the test would change nothing: " + old)
			}
			return bytes.Replace(b, []byte(old), []byte(new), 1)
		}
	}
	signed := []string{Signed, SignedTrailer}
	all := []string{Signed, SignedTrailer, UnsignedTrailer}
	for _, c := range []struct {
		name  string
		modes []string
		size  int64
		edit  func([]byte) []byte
		want  error
	}{
		{"a byte of content changed", signed, 320, replace("9abc", "8abc"), ErrMismatch},
		{"a signature changed", signed, 320, func(b []byte) []byte {
			i := bytes.Index(b, []byte("chunk-signature=")) + len("chunk-signature=")
			b[i] ^= 1
			return b
		}, ErrMismatch},
		{"the last chunk's signature changed", signed, 320, func(b []byte) []byte {
			i := bytes.LastIndex(b, []byte("chunk-signature=")) + len("chunk-signature=")
			b[i] ^= 1
			return b
		}, ErrMismatch},
		{"no signatures", signed, 320, func([]byte) []byte { return encode(content, 64, nil, "") }, ErrEncoding},
		{"the trailer's signature changed", []string{SignedTrailer}, 320, func(b []byte) []byte {
			i := bytes.LastIndex(b, []byte("signature:")) + len("signature:")
			b[i] ^= 1
			return b
		}, ErrMismatch},
		{"the trailer's value changed", []string{SignedTrailer}, 320, replace("sOO8/Q==", "sOO8/g=="), ErrMismatch},
		{"the trailer's signature left out", []string{SignedTrailer}, 320, func(b []byte) []byte {
			return b[:bytes.Index(b, []byte("x-amz-trailer-signature"))]
		}, ErrMismatch},
		{"a trailer twice", []string{UnsignedTrailer}, 320, replace("x-amz", "x-amz-checksum-crc32c:AA==\r\nx-amz"), ErrTrailer},
		{"a trailer without a colon", []string{UnsignedTrailer}, 320, replace("crc32c:", "crc32c "), ErrTrailer},
		{"a trailer where none may be", []string{Signed}, 320, func(b []byte) []byte { return append(b, "a:b\r\n"...) }, ErrTrailer},
		{"endless blank lines", all, 320, func(b []byte) []byte { return append(b, strings.Repeat("\r\n", 100)...) }, ErrTrailer},
		{"content longer than announced", all, 319, func(b []byte) []byte { return b }, ErrLength},
		{"content shorter than announced", all, 321, func(b []byte) []byte { return b }, io.ErrUnexpectedEOF},
		{"no size", all, 320, func(b []byte) []byte { return append([]byte(";"), b...) }, ErrEncoding},
		{"a size with a sign", all, 320, func(b []byte) []byte { return append([]byte("-"), b...) }, ErrEncoding},
		{"an enormous size", all, 320, func(b []byte) []byte { return append([]byte("fffffffffffff"), b...) }, ErrLength},
		{"more size digits than a number has", all, 320, func(b []byte) []byte { return append(bytes.Repeat([]byte("0"), 17), b...) }, ErrEncoding},
		{"a header line without end", all, 320, func([]byte) []byte { return bytes.Repeat([]byte("0;"), 4000) }, ErrEncoding},
		{"a chunk longer than its header says", []string{UnsignedTrailer}, 320, replace("40\r\n", "3f\r\n"), ErrEncoding},
		{"an empty body", all, 320, func([]byte) []byte { return nil }, io.ErrUnexpectedEOF},
	} {
		for _, m := range modes() {
			if !strings.Contains(" "+strings.Join(c.modes, " ")+" ", " "+m.payload+" ") {
				continue
			}
			t.Run(c.name+"/"+m.payload, func(t *testing.T) {
				wire := c.edit(m.encode(content, 64))
				_, err := io.ReadAll(m.reader(t, bytes.NewReader(wire), c.size))
				if !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
			})
		}
	}
}

func TestABodyCutAnywhereFails(t *testing.T) {
	content := []byte(strings.Repeat("0123456789abcdef", 20))
	for _, m := range modes() {
		wire := m.encode(content, 64)
		// What may be missing is only the blank line at the very end, and the
		// end of the line before it.
		need := len(bytes.TrimRight(wire, "\r\n"))
		for cut := range need {
			r := m.reader(t, bytes.NewReader(wire[:cut]), 320)
			_, err := io.ReadAll(r)
			if err == nil && m.payload == UnsignedTrailer && cut > bytes.LastIndex(wire, []byte("0\r\n")) {
				continue // no content is missing; that the trailer is, its reader sees
			}
			if err == nil {
				t.Fatalf("%s cut at %d of %d ended cleanly", m.payload, cut, len(wire))
			}
		}
	}
}

func TestASourceErrorIsPassedOn(t *testing.T) {
	boom := errors.New("boom")
	for _, m := range modes() {
		wire := m.encode([]byte("hello"), 64)
		for cut := range len(wire) {
			src := io.MultiReader(bytes.NewReader(wire[:cut]), iotest.ErrReader(boom))
			if _, err := io.ReadAll(m.reader(t, src, 5)); !errors.Is(err, boom) {
				t.Fatalf("%s failing at %d: %v", m.payload, cut, err)
			}
		}
	}
}

func TestTrailerOfTheDocumentationsSpelling(t *testing.T) {
	m := modes()[1]
	wire := bytes.Replace(m.encode([]byte("hello"), 64), []byte("sOO8/Q==\r\n"), []byte("sOO8/Q==\n\r\n"), 1)
	r := m.reader(t, iotest.OneByteReader(bytes.NewReader(wire)), 5)
	if got, err := io.ReadAll(r); err != nil || string(got) != "hello" {
		t.Fatalf("%q, %v", got, err)
	}
	if f := r.Trailer(); len(f) != 1 || f[0] != (Field{"x-amz-checksum-crc32c", "sOO8/Q=="}) {
		t.Errorf("trailer %v", f)
	}
}

// FuzzReaderRoundTrip: decode(encode(x)) is x, for every mode and chunk size.
func FuzzReaderRoundTrip(f *testing.F) {
	f.Add([]byte(""), uint16(1))
	f.Add([]byte("hello, world"), uint16(5))
	f.Fuzz(func(t *testing.T, content []byte, size uint16) {
		size = max(size, 1)
		if len(content)/int(size) > 2000 {
			size = uint16(len(content)/2000 + 1)
		}
		for _, m := range modes() {
			r := m.reader(t, bytes.NewReader(m.encode(content, int(size))), int64(len(content)))
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
				t.Fatalf("%s: %d of %d bytes, %v", m.payload, len(got), len(content), err)
			}
		}
	})
}

// FuzzReaderArbitrary: any bytes end in a bounded number of reads, never give
// more than was announced, and end cleanly only with exactly that.
func FuzzReaderArbitrary(f *testing.F) {
	for _, m := range modes() {
		f.Add(m.encode([]byte("hello, world"), 5), int64(12))
	}
	f.Add([]byte("0\r\n\r\n"), int64(0))
	f.Add([]byte("ffffffffffffffff\r\n"), int64(1<<62))
	f.Fuzz(func(t *testing.T, wire []byte, size int64) {
		if size < 0 {
			return
		}
		for _, m := range modes() {
			r := m.reader(t, bytes.NewReader(wire), size)
			var total int64
			buf := make([]byte, 64)
			var err error
			for reads := 0; err == nil; reads++ {
				if reads > 2*len(wire)+8 {
					t.Fatal("the reader makes no progress")
				}
				var n int
				n, err = r.Read(buf)
				total += int64(n)
			}
			if total > size || err == io.EOF && total != size {
				t.Fatalf("%s: %d bytes of %d, %v", m.payload, total, size, err)
			}
			if n, again := r.Read(buf); n != 0 || again != err {
				t.Fatalf("a second read gave %d, %v after %v", n, again, err)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	v := vectors()[0]
	a := Authorization{AccessKey: exampleKey, Scope: Scope{"20130524", "us-east-1"}, Headers: strings.Split(v.signed, ";"), Signature: v.signature}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Verify(v.request, exampleSecret, v.payload, exampleTime); err != nil {
			b.Fatal(err)
		}
	}
}
