package crypt

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"filippo.io/age"
	"github.com/cairn-storage/cairn"
)

// identityVersion is the version of identity files that are written.
const identityVersion = 1

// maxIdentity is the most bytes of an identity file, comments included.
const maxIdentity = 16 << 10

const identityHeader = "cairn-identity"

// Encode is the identity's file: a comment, then five lines in a fixed order.
// It is secret in whole.
func (id Identity) Encode() []byte {
	note := "Keep it offline: whoever has it reads the whole store and can take it over."
	if id.kind == Gateway {
		note = "Whoever has it reads and writes the whole store."
	}
	return fmt.Appendf(nil, "# cairn %s identity of store %s. %s\n%s %d %s\nstore %s\nage %s\nsign %x\nssh %x\n",
		string(id.kind), id.store.Short(), note,
		identityHeader, identityVersion, string(id.kind), id.store, id.age.String(), id.sign, id.ssh)
}

// ParseIdentity is the exact inverse of Encode, whatever the comment lines at
// the top. An error is of class ErrInvalid, names the line and what to do, and
// quotes nothing of the file.
func ParseIdentity(b []byte) (Identity, error) {
	p := identityParser{rest: string(b)}
	if len(b) > maxIdentity {
		return p.bad("is too long for an identity file", "give the file that cairn init wrote")
	}
	for strings.HasPrefix(p.rest, "#") {
		if _, err := p.next("a comment"); err != nil {
			return Identity{}, err
		}
	}
	head, err := p.header()
	if err != nil {
		return Identity{}, err
	}
	id := Identity{kind: head}
	var store, secret string
	if store, err = p.field("store"); err != nil {
		return Identity{}, err
	}
	if id.store, err = cairn.ParseStoreID(store); err != nil {
		return p.bad("holds no store id of 32 lower-case hex digits", damaged)
	}
	if secret, err = p.field("age"); err != nil {
		return Identity{}, err
	}
	if id.age, err = age.ParseX25519Identity(secret); err != nil || id.age.String() != secret {
		return p.bad("holds no age secret key, or one with a typing error", damaged)
	}
	if id.sign, err = p.seed("sign"); err != nil {
		return Identity{}, err
	}
	if id.ssh, err = p.seed("ssh"); err != nil {
		return Identity{}, err
	}
	if p.rest != "" {
		p.line++
		return p.bad("follows the end of the identity", "remove it; a file holds one identity, and comments stand only at the top")
	}
	return id, nil
}

const damaged = "the file was changed or cut: use an untouched copy"

type identityParser struct {
	rest string
	line int // the one last taken, from 1
}

func (p *identityParser) bad(why, do string) (Identity, error) { return Identity{}, p.errorf(why, do) }

func (p *identityParser) errorf(why, do string) error {
	return fmt.Errorf("identity file: line %d %s; %s: %w", max(p.line, 1), why, do, cairn.ErrInvalid)
}

// next takes a line, without its end.
func (p *identityParser) next(what string) (string, error) {
	p.line++
	line, rest, ended := strings.Cut(p.rest, "\n")
	switch {
	case p.rest == "":
		return "", p.errorf("is missing: "+what, damaged)
	case !ended:
		return "", p.errorf("has no line end", "add one, if the rest of the line is complete")
	case strings.HasSuffix(line, "\r"):
		return "", p.errorf("ends as on Windows, in CR LF", "save the file with LF line ends")
	}
	p.rest = rest
	return line, nil
}

func (p *identityParser) header() (IdentityKind, error) {
	foreign := []struct{ prefix, why, do string }{
		{"age-encryption.org/", "begins a file that is locked with a passphrase", "unlock it first, with age --decrypt"},
		{"-----BEGIN AGE", "begins a file that is locked with a passphrase", "unlock it first, with age --decrypt"},
		{"AGE-SECRET-KEY-", "is a plain age key, not a cairn identity", "give the file that cairn init wrote"},
		{"-----BEGIN", "begins a key of another program", "give the file that cairn init wrote"},
	}
	for _, f := range foreign {
		if strings.HasPrefix(p.rest, f.prefix) {
			p.line++
			return "", p.errorf(f.why, f.do)
		}
	}
	line, err := p.next("the header " + identityHeader)
	if err != nil {
		return "", err
	}
	name, rest, _ := strings.Cut(line, " ")
	version, kind, _ := strings.Cut(rest, " ")
	v, err := strconv.ParseUint(version, 10, 16)
	switch {
	case name != identityHeader || err != nil || strconv.FormatUint(v, 10) != version:
		return "", p.errorf("is not the header of a cairn identity", "give the file that cairn init wrote; only comment lines may stand above the header")
	case v != identityVersion:
		return "", p.errorf(fmt.Sprintf("has version %d and this cairn reads version %d", v, identityVersion), "install a newer cairn")
	case kind != string(Owner) && kind != string(Gateway):
		return "", p.errorf("names neither owner nor gateway", damaged)
	}
	return IdentityKind(kind), nil
}

func (p *identityParser) field(name string) (string, error) {
	line, err := p.next("it should begin with " + name)
	if err != nil {
		return "", err
	}
	value, found := strings.CutPrefix(line, name+" ")
	switch {
	case strings.HasPrefix(line, "#"):
		return "", p.errorf("is a comment", "move it to the top of the file")
	case !found:
		return "", p.errorf("does not begin with "+name+" and a space", damaged)
	}
	return value, nil
}

func (p *identityParser) seed(name string) (seed [32]byte, err error) {
	value, err := p.field(name)
	if err != nil {
		return seed, err
	}
	if len(value) != 64 || strings.ToLower(value) != value {
		return seed, p.errorf("does not hold 64 lower-case hex digits", damaged)
	}
	if _, err := hex.Decode(seed[:], []byte(value)); err != nil {
		return [32]byte{}, p.errorf("does not hold 64 lower-case hex digits", damaged)
	}
	return seed, nil
}

// bech32 is the encoding of BIP 173, in which age writes keys. age draws its
// own chance and does not export the encoding; NewIdentity needs it so that the
// same chance gives the same identity. age itself checks every result.
func bech32(hrp string, b []byte) string {
	var values []byte
	acc, bits := 0, 0
	for _, c := range b {
		acc, bits = acc<<8|int(c), bits+8
		for ; bits >= 5; bits -= 5 {
			values = append(values, byte(acc>>(bits-5)&31))
		}
		acc &= 1<<bits - 1
	}
	if bits > 0 {
		values = append(values, byte(acc<<(5-bits)&31))
	}
	check := bech32Polymod(append(bech32Head(hrp, values), 0, 0, 0, 0, 0, 0)) ^ 1
	for i := range 6 {
		values = append(values, byte(check>>(5*(5-i))&31))
	}
	for i, v := range values {
		values[i] = bech32Charset[v]
	}
	return hrp + "1" + string(values)
}

const bech32Charset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

// bech32Head is what the sum is made over.
func bech32Head(hrp string, values []byte) (sum []byte) {
	for i := range len(hrp) {
		sum = append(sum, hrp[i]>>5)
	}
	sum = append(sum, 0)
	for i := range len(hrp) {
		sum = append(sum, hrp[i]&31)
	}
	return append(sum, values...)
}

// bech32Valid reports whether hrp, 1 and data are what bech32 writes for some
// whole bytes, in lower case.
func bech32Valid(hrp, data string) bool {
	var values []byte
	for i := range len(data) {
		v := strings.IndexByte(bech32Charset, data[i])
		if v < 0 {
			return false
		}
		values = append(values, byte(v))
	}
	n := len(values) - 6
	if n < 0 || bech32Polymod(bech32Head(hrp, values)) != 1 {
		return false
	}
	rest := n * 5 % 8 // bits that fill up the last byte: fewer than a value has, and zero
	return rest < 5 && (rest == 0 || values[n-1]&(1<<rest-1) == 0)
}

func bech32Polymod(values []byte) uint32 {
	generator := [5]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3}
	sum := uint32(1)
	for _, v := range values {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(v)
		for i, g := range generator {
			if top>>i&1 == 1 {
				sum ^= g
			}
		}
	}
	return sum
}
