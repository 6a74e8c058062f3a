package recovery

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"filippo.io/age/plugin"
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
	"golang.org/x/crypto/ssh"
)

func keyPath(b []byte) string { return layout.KeyPath(1, crypt.KeysHash(b)) }

func testKit(w *world) Kit {
	return Kit{Store: testStore, Made: 12345, Gateways: []KitGateway{{Key: crypt.PublicKey{1}, Recipient: "age1x"}, {w.gate.id.Sign().Public(), 1, w.gate.id.Public().Recipient, w.gate.delegation}},
		Owner: w.owner.Sign().Public(), Owners: []string{w.owner.Public().Recipient}, Coding: "2+1", Identity: w.gate.id.Encode(), Keys: w.keys, Sequence: 8814, Root: crypt.Hash{9},
		Nodes: []pack.Node{{ID: cairn.NodeID{1}, Name: "carol", Operator: "carol & <co>", Site: "fsn", Remote: "sftp://c@example.org/x", HostKey: "SHA256:x", Credential: []byte{0, 255, 1},
			Capacity: 5, State: "ok", Added: 7, Option: map[string]string{"a": "b"}}}}
}

// TestKitOpensForEveryOwner: any one of them, by age or SSH key, and nobody
// else; what comes out is what went in.
func TestKitOpensForEveryOwner(t *testing.T) {
	w := newWorld(t, 0)
	_, secret, err := ed25519.GenerateKey(chance(30))
	must(t, err)
	public := must1(ssh.NewPublicKey(secret.Public()))(t)
	x := must1(age.GenerateX25519Identity())(t)
	kit := testKit(w)
	b := must1(SealKit(kit, []string{w.owner.Public().Recipient, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))) + " tom", x.Recipient().String(), x.Recipient().String()}))(t)
	for what, id := range map[string]age.Identity{"cairn identity": w.owner.Age(), "ssh": must1(agessh.NewEd25519Identity(secret))(t), "age": x} {
		got, err := OpenKit(b, id)
		if err != nil || !reflect.DeepEqual(got, kit) {
			t.Errorf("%s: %v\ngot  %s\nwant %s", what, err, must1(got.encode())(t), must1(kit.encode())(t))
		}
	}
	stranger := must1(age.GenerateX25519Identity())(t)
	_, err = OpenKit(b, stranger)
	wantClass(t, "a stranger", err, cairn.ErrDenied)
	_, err = OpenKit([]byte("[store]\n"), x)
	wantClass(t, "another file", err, cairn.ErrInvalid)
	_, err = OpenKit(b)
	wantClass(t, "no identity", err, cairn.ErrInvalid)
	for _, cut := range []int{len(b) - 1, len(b) / 2, 30} {
		if _, err := OpenKit(b[:cut], x); cairn.Class(err) != cairn.ErrCorrupt {
			t.Errorf("cut to %d bytes: %v", cut, err)
		}
	}
	changed := bytes.Clone(b)
	changed[len(b)-20] ^= 1
	_, err = OpenKit(changed, x)
	wantClass(t, "one bit changed", err, cairn.ErrCorrupt)

	for what, owners := range map[string][]string{"none": nil, "a secret key": {x.String()}, "no recipient": {"mia"}} {
		_, err := SealKit(kit, owners)
		wantClass(t, what, err, cairn.ErrInvalid)
		if strings.Contains(fmt.Sprint(err), x.String()) {
			t.Error("the error quotes a secret key")
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(verb, kit); got != hiddenKit {
			t.Errorf("%s prints %s", verb, got)
		}
	}
}

// TestKitIsReadStrictly: whatever is not what cairn writes is refused, naming
// the field and no secret.
func TestKitIsReadStrictly(t *testing.T) {
	plain := string(must1(testKit(newWorld(t, 0)).encode())(t))
	for _, x := range []struct {
		what, from, to string
		class          error
		says           string
	}{
		{"newer version", `"cairn_kit": 1`, `"cairn_kit": 2`, cairn.ErrInvalid, "install a newer cairn"},
		{"no version", `"cairn_kit": 1`, `"cairn_kit": 0`, cairn.ErrCorrupt, "not what cairn writes"},
		{"unknown field", `"coding":`, `"colour": "red", "coding":`, cairn.ErrCorrupt, "colour"},
		{"store", `"store": "c0ff`, `"store": "x0ff`, cairn.ErrCorrupt, "field store"},
		{"hash", `"root_hash": "09`, `"root_hash": "9`, cairn.ErrCorrupt, "field root_hash"},
		{"owner", `"owner_key": "`, `"owner_key": "z`, cairn.ErrCorrupt, "field owner_key"},
		{"gateway", `"key": "01`, `"key": "0A01`, cairn.ErrCorrupt, "gateways[0].key"},
		{"node", `"id": "01`, `"id": "1`, cairn.ErrCorrupt, "nodes[0].id"},
		{"keys", `"path": "keys/1-`, `"path": "keys/2x`, cairn.ErrCorrupt, "keys[0]"},
		{"more after it", "", "{}", cairn.ErrCorrupt, "not what cairn writes"},
		{"no JSON", `{`, ``, cairn.ErrCorrupt, "not what cairn writes"},
	} {
		text := strings.Replace(plain, x.from, x.to, 1)
		if x.from == "" {
			text = plain + x.to
		}
		if text == plain {
			t.Fatalf("%s: nothing was changed", x.what)
		}
		_, err := parseKit([]byte(text))
		wantClass(t, x.what, err, x.class)
		wantText(t, x.what, err, x.says)
		if strings.Contains(fmt.Sprint(err), "AGE-SECRET") {
			t.Errorf("%s: the error quotes a secret", x.what)
		}
	}
}

// TestOpenIdentityFile: every kind of file an owner may hold, locked or not,
// and what is said of others.
func TestOpenIdentityFile(t *testing.T) {
	w := newWorld(t, 0)
	x := must1(age.GenerateX25519Identity())(t)
	_, secret, err := ed25519.GenerateKey(chance(31))
	must(t, err)
	sshOpen := pem.EncodeToMemory(must1(ssh.MarshalPrivateKey(secret, "tom"))(t))
	lock := func(b []byte, to age.Recipient, armoured bool) []byte {
		var out bytes.Buffer
		var outer = armor.NewWriter(&out)
		plain := age.Encrypt
		if armoured {
			e := must1(plain(outer, to))(t)
			_ = must1(e.Write(b))(t)
			must(t, e.Close())
			must(t, outer.Close())
			return out.Bytes()
		}
		out.Reset()
		e := must1(plain(&out, to))(t)
		_ = must1(e.Write(b))(t)
		must(t, e.Close())
		return out.Bytes()
	}
	pass := must1(age.NewScryptRecipient("word"))(t)
	pass.SetWorkFactor(10)
	owner := w.owner.Encode()
	ageFile := []byte("# created\n# public key: x\n" + x.String() + "\n")
	for _, f := range []struct {
		what  string
		b     []byte
		word  string
		class error
		says  string
		cairn bool
	}{
		{"cairn identity", owner, "", nil, "", true},
		{"cairn identity, locked", lock(owner, pass, false), "word", nil, "", true},
		{"cairn identity, locked and armoured", lock(owner, pass, true), "word", nil, "", true},
		{"wrong passphrase", lock(owner, pass, true), "other", cairn.ErrDenied, "passphrase is wrong", false},
		{"locked for a key", lock(owner, x.Recipient(), false), "word", cairn.ErrDenied, "locked for a key", false},
		{"locked twice", lock(lock(owner, pass, false), pass, false), "word", cairn.ErrInvalid, "twice", false},
		{"locked and cut", lock(owner, pass, false)[:400], "word", cairn.ErrInvalid, "changed or cut", false},
		{"age keys", ageFile, "", nil, "", false},
		{"age keys, locked", lock(ageFile, pass, false), "word", nil, "", false},
		{"age keys with a typing error", bytes.Replace(ageFile, []byte("KEY-1"), []byte("KEY-1Q"), 1), "", cairn.ErrInvalid, "no age key", false},
		{"SSH key", sshOpen, "", nil, "", false},
		{"SSH key, locked", []byte(lockedSSH), "word", nil, "", false},
		{"SSH key, wrong passphrase", []byte(lockedSSH), "other", cairn.ErrDenied, "passphrase of the SSH key", false},
		{"plugin with a typing error", []byte("AGE-PLUGIN-YUBIKEY-1QQPQ\n"), "", cairn.ErrInvalid, "no age key", false},
		{"plugin and age key", []byte("# both\n" + plugin.EncodeIdentity("x", []byte("y")) + "\n\n" + x.String() + "\n"), "", nil, "", false},
		{"post-quantum", []byte("AGE-SECRET-KEY-PQ-1QQ\n"), "", cairn.ErrInvalid, "post-quantum", false},
		{"RSA", []byte("-----BEGIN RSA PRIVATE KEY-----\n"), "", cairn.ErrInvalid, "ed25519", false},
		{"cairn.toml", []byte("[store]\n"), "", cairn.ErrInvalid, "cairn init", false},
		{"empty", nil, "", cairn.ErrInvalid, "", false},
		{"huge", make([]byte, maxIdentityFile+1), "", cairn.ErrInvalid, "too long", false},
	} {
		o, err := OpenIdentityFile(f.b, func() (string, error) { return f.word, nil })
		if f.class != nil {
			wantClass(t, f.what, err, f.class)
			wantText(t, f.what, err, f.says)
			continue
		}
		if err != nil || len(o.Ages) == 0 || (o.Identity != nil) != f.cairn {
			t.Errorf("%s: %v, %d keys, cairn identity %v", f.what, err, len(o.Ages), o.Identity != nil)
		}
	}
	_, err = OpenIdentityFile(lock(owner, pass, false), nil)
	wantClass(t, "nobody to ask", err, cairn.ErrInvalid)
	wantText(t, "nobody to ask", err, "nobody to ask")
}

// lockedSSH was made for this test by ssh-keygen -a 1, which makes guessing its
// passphrase, word, cheap.
const lockedSSH = `-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABCL8GPsGf
ijEMQY/7pPHf8OAAAAAQAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIK6PYukyMsyU37AG
81RfJh0sDia2SA5WTL4GyE9FDxQnAAAAkH8BdnyMNIvU2okSJIoeTG4R5kEMR24FgI+/SY
0b+kM7pyJMb7ZhUoKGg9VyzSwWdq85YT1uqCEvde9P+265Tpf1FF0ua9ZCLVBtBbsrqvOv
e9w63UzSxSNnQvz/dTgqFKRtXIhVbCmyBUllNNMOn4b80kIwdCORuCFFlG8oU75bwA4wQA
kkxUVtdEIvUJ6sWg==
-----END OPENSSH PRIVATE KEY-----
`
