package crypt

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/cairn-storage/cairn"
)

func TestAnIdentityIsReadAsItWasWritten(t *testing.T) {
	for _, kind := range []IdentityKind{Owner, Gateway} {
		id, err := NewIdentity(kind, cairn.StoreID{1}, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		text := id.Encode()
		got, err := ParseIdentity(text)
		if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		if got.Public() != id.Public() || got.SSHSeed() != id.SSHSeed() || got.Kind() != kind || got.Store() != id.Store() || !bytes.Equal(got.Encode(), text) {
			t.Errorf("%s: another identity comes back", kind)
		}
		if got.CacheKey() != id.CacheKey() {
			t.Errorf("%s: another cache key", kind)
		}
	}
}

func TestCommentsStandOnlyAtTheTop(t *testing.T) {
	id := testIdentity(t, Owner, 1)
	text := string(id.Encode())
	_, body, _ := strings.Cut(text, "\n")
	for name, s := range map[string]string{
		"none":    body,
		"several": "# one\n#\n#two\n" + body,
		"its own": text,
	} {
		got, err := ParseIdentity([]byte(s))
		if err != nil || string(got.Encode()) != text {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestABadIdentityFileNamesTheLineAndWhatToDo(t *testing.T) {
	text := string(testIdentity(t, Owner, 1).Encode())
	lines := strings.SplitAfter(text, "\n")
	replaced := func(i int, line string) string {
		l := append([]string(nil), lines...)
		l[i] = line
		return strings.Join(l, "")
	}
	secret := strings.TrimSuffix(lines[3], "\n")
	last := secret[len(secret)-1]
	typo := byte('Q')
	if last == 'Q' {
		typo = 'P'
	}
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "line 1 is missing"},
		{"only comments", "# a\n", "line 2 is missing"},
		{"locked", "age-encryption.org/v1\n-> scrypt", "line 1 begins a file that is locked with a passphrase"},
		{"locked and armoured", "-----BEGIN AGE ENCRYPTED FILE-----\n", "locked with a passphrase"},
		{"a plain age key", "# created: now\nAGE-SECRET-KEY-1QQ\n", "line 2 is a plain age key"},
		{"an SSH key", "-----BEGIN OPENSSH PRIVATE KEY-----\n", "another program"},
		{"another file", "hello\n", "line 1 is not the header"},
		{"newer version", replaced(1, "cairn-identity 2 owner\n"), "install a newer cairn"},
		{"version with a zero", replaced(1, "cairn-identity 01 owner\n"), "line 2 is not the header"},
		{"unknown kind", replaced(1, "cairn-identity 1 admin\n"), "line 2 names neither owner nor gateway"},
		{"store id in capitals", replaced(2, "store "+strings.ToUpper("4f4e4d4c4b4a49484746454443424140")+"\n"), "line 3 holds no store id"},
		{"age key with a typing error", replaced(3, secret[:len(secret)-1]+string(typo)+"\n"), "line 4 holds no age secret key"},
		{"age key in small letters", replaced(3, "age "+strings.ToLower(secret[4:])+"\n"), "line 4 holds no age secret key"},
		{"sign seed cut", replaced(4, lines[4][:40]+"\n"), "line 5 does not hold 64 lower-case hex digits"},
		{"sign seed in capitals", replaced(4, "sign "+strings.ToUpper(lines[4][5:])), "line 5 does not hold"},
		{"ssh seed no hex", replaced(5, "ssh "+strings.Repeat("g", 64)+"\n"), "line 6 does not hold"},
		{"lines swapped", strings.Join([]string{lines[0], lines[1], lines[2], lines[4], lines[3], lines[5]}, ""), "line 4 does not begin with age"},
		{"no last line", strings.Join(lines[:5], ""), "line 6 is missing: it should begin with ssh"},
		{"no last line end", strings.TrimSuffix(text, "\n"), "line 6 has no line end"},
		{"Windows line ends", strings.ReplaceAll(text, "\n", "\r\n"), "line 1 ends as on Windows"},
		{"comment below the top", replaced(3, "# here\n"+lines[3]), "line 4 is a comment"},
		{"a blank line", replaced(1, "\n"+lines[1]), "line 2 is not the header"},
		{"two identities", text + text, "line 7 follows the end"},
		{"too long", strings.Repeat("#\n", maxIdentity), "too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseIdentity([]byte(c.text))
			if !errors.Is(err, cairn.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want ErrInvalid with %q", err, c.want)
			}
			for _, quoted := range []string{secret[4:40], lines[4][5:30], lines[5][4:30]} {
				if strings.Contains(err.Error(), quoted) {
					t.Errorf("the error quotes a secret: %v", err)
				}
			}
		})
	}
}

func TestAnIdentityOfTheWrongKindIsToldApart(t *testing.T) {
	owner := testIdentity(t, Owner, 1)
	if err := owner.Need(Owner); err != nil {
		t.Error(err)
	}
	err := owner.Need(Gateway)
	if !errors.Is(err, cairn.ErrInvalid) || !strings.Contains(err.Error(), "owner identity of store 4f4e-4d4c") || !strings.Contains(err.Error(), "gateway identity is needed") {
		t.Errorf("got %v", err)
	}
	if _, err := NewIdentity("admin", cairn.StoreID{}, rand.Reader); !errors.Is(err, cairn.ErrInvalid) {
		t.Errorf("a third kind: %v", err)
	}
}

func TestWithoutChanceThereIsNoIdentity(t *testing.T) {
	_, err := NewIdentity(Owner, cairn.StoreID{}, bytes.NewReader(make([]byte, 95)))
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

// age reads what bech32 writes; the reverse is checked for many keys here.
func TestBech32IsAsAgeWritesIt(t *testing.T) {
	for range 50 {
		id, err := age.GenerateX25519Identity()
		if err != nil {
			t.Fatal(err)
		}
		scalar := bech32Scalar(t, id.String())
		if got := strings.ToUpper(bech32("age-secret-key-", scalar)); got != id.String() {
			t.Fatalf("got %s, age writes %s", got, id)
		}
	}
}

func bech32Scalar(t *testing.T, s string) (b []byte) {
	t.Helper()
	data := strings.ToLower(strings.TrimPrefix(s, "AGE-SECRET-KEY-1"))
	acc, bits := 0, 0
	for _, c := range data[:len(data)-6] {
		v := strings.IndexRune("qpzry9x8gf2tvdw0s3jn54khce6mua7l", c)
		if v < 0 {
			t.Fatalf("%q is no bech32", s)
		}
		acc, bits = acc<<5|v, bits+5
		if bits >= 8 {
			bits -= 8
			b = append(b, byte(acc>>bits))
			acc &= 1<<bits - 1
		}
	}
	return b
}

func FuzzParseIdentity(f *testing.F) {
	for _, k := range []IdentityKind{Owner, Gateway} {
		f.Add(testIdentity(f, k, 1).Encode())
	}
	f.Add([]byte("# c\ncairn-identity 1 owner\nstore "))
	f.Fuzz(func(t *testing.T, b []byte) {
		id, err := ParseIdentity(b)
		if err != nil {
			if !errors.Is(err, cairn.ErrInvalid) {
				t.Fatalf("class of %v", err)
			}
			return
		}
		if again := withoutComments(id.Encode()); !bytes.Equal(again, withoutComments(b)) {
			t.Fatalf("two spellings of one identity")
		}
	})
}

func withoutComments(b []byte) []byte {
	for len(b) > 0 && b[0] == '#' {
		_, b, _ = bytes.Cut(b, []byte("\n"))
	}
	return b
}
