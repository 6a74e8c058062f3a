package recovery

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"
	"filippo.io/age/plugin"
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
)

// withPlugin builds the plugin of the tests and puts it, and nothing else, into
// the PATH.
func withPlugin(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "age-plugin-cairntest"), "../testdata/age-plugin-cairntest").CombinedOutput()
	if err != nil {
		t.Fatalf("build the plugin: %v\n%s", err, out)
	}
	t.Setenv("PATH", dir)
}

// pluginPair is a recipient and an identity of the plugin; words say how each
// behaves.
func pluginPair(t *testing.T, to, from string) (recipient, identity string) {
	t.Helper()
	x := must1(age.GenerateX25519Identity())(t)
	return plugin.EncodeRecipient("cairntest", []byte(to+" "+x.Recipient().String())), plugin.EncodeIdentity("cairntest", []byte(from+" "+x.String()))
}

// TestPluginOwnersOpenTheKitAndTheKeys: by their plugin's program, which may ask
// a person.
func TestPluginOwnersOpenTheKitAndTheKeys(t *testing.T) {
	withPlugin(t)
	w := newWorld(t, 0)
	key := crypt.EpochKey{7}
	for _, c := range []struct {
		word  string
		pin   string
		yes   bool
		class error
		says  string
	}{
		{"plain", "", false, nil, ""},
		{"pin", "1234", false, nil, ""},
		{"pin", "4321", false, cairn.ErrUnavailable, "age-plugin-cairntest: "},
		{"touch", "", true, nil, ""},
		{"touch", "", false, cairn.ErrUnavailable, "it was not you"},
	} {
		t.Run(fmt.Sprintf("%s %s %v", c.word, c.pin, c.yes), func(t *testing.T) {
			to, identity := pluginPair(t, "", c.word)
			other := must1(age.GenerateX25519Identity())(t)
			owners := []string{other.Recipient().String(), to}
			must(t, CheckRecipients(owners))
			sealed := must1(SealKit(testKit(w), owners))(t)
			keys := must1(crypt.ParseKeys(must1(WrapEpoch(key, 1, testStore, owners, w.gate.id.Sign()))(t), crypt.TrustKeys(testStore, w.gate.id.Public().Sign)))(t)
			var shown []string
			ask := Ask{
				Message: func(name, text string) { shown = append(shown, name+": "+text) },
				Value: func(name, prompt string, secret bool) (string, error) {
					if name != "cairntest" || prompt != "PIN:" || !secret {
						t.Errorf("asked for %q, secret %v, by %s", prompt, secret, name)
					}
					return c.pin, nil
				},
				Confirm: func(_, question, yes, no string) (bool, error) {
					if question != "is it you?" || yes != "yes" || no != "no" {
						t.Errorf("asked %q, %q or %q", question, yes, no)
					}
					return c.yes, nil
				},
			}
			o := must1(ask.OpenIdentityFile([]byte("# created\n" + identity + "\n")))(t)
			kit, err := OpenKit(sealed, o.Ages...)
			opened, kerr := keys.OpenAge(o.Ages...)
			if c.class != nil {
				wantClass(t, "the kit", err, c.class)
				wantText(t, "the kit", err, c.says)
				wantClass(t, "the keys", kerr, c.class)
				return
			}
			must(t, errors.Join(err, kerr))
			if kit.Store != testStore || opened != key {
				t.Error("what opened is not what was sealed")
			}
			if c.word == "touch" && (len(shown) == 0 || shown[0] != "cairntest: touch the key") {
				t.Errorf("shown: %q", shown)
			}
			// Nobody to ask is told, and not that it is another's.
			if c.word != "plain" {
				o := must1(OpenIdentityFile([]byte(identity), nil))(t)
				_, err := OpenKit(sealed, o.Ages...)
				wantClass(t, "nobody to ask", err, cairn.ErrUnavailable)
			}
		})
	}
	_, identity := pluginPair(t, "", "plain")
	stranger := must1(OpenIdentityFile([]byte(identity), nil))(t)
	_, err := OpenKit(must1(SealKit(testKit(w), []string{w.owner.Public().Recipient}))(t), stranger.Ages...)
	wantClass(t, "a plugin's key that is of no owner", err, cairn.ErrDenied)
}

// TestPluginThatDoesNotWork: is named, with what to do, within its time.
func TestPluginThatDoesNotWork(t *testing.T) {
	withPlugin(t)
	good, identity := pluginPair(t, "", "plain")
	alone, _ := pluginPair(t, "alone", "plain")
	hangs, _ := pluginPair(t, "hang", "plain")
	native := must1(age.GenerateX25519Identity())(t).Recipient().String()

	err := CheckRecipients([]string{native, alone})
	wantClass(t, "recipients that do not go together", err, cairn.ErrInvalid)
	wantText(t, "recipients that do not go together", err, "do not go together")
	must(t, CheckRecipients([]string{alone}))

	r := must1(pluginRecipient(must1(crypt.ParseRecipient(hangs))(t)))(t).(timely)
	r.patience = 50 * time.Millisecond
	_, err = r.Wrap(make([]byte, 16))
	wantClass(t, "one that hangs", err, cairn.ErrUnavailable)
	wantText(t, "one that hangs", err, "age-plugin-cairntest did not answer within 50ms")

	w := newWorld(t, 0)
	sealed := must1(SealKit(testKit(w), []string{good}))(t)
	must(t, os.Remove(filepath.Join(os.Getenv("PATH"), "age-plugin-cairntest")))
	for what, err := range map[string]error{
		"a check": CheckRecipients([]string{native, good}),
		"the kit": func() error { _, err := SealKit(testKit(w), []string{native, good}); return err }(),
		"keys": func() error {
			_, err := WrapEpoch(crypt.EpochKey{1}, 1, testStore, []string{native, good}, w.gate.id.Sign())
			return err
		}(),
		"opening": func() error {
			_, err := OpenKit(sealed, must1(OpenIdentityFile([]byte(identity), nil))(t).Ages...)
			return err
		}(),
	} {
		wantClass(t, what, err, cairn.ErrUnavailable)
		wantText(t, what, err, "the program age-plugin-cairntest is not in the PATH", "install it")
	}
}

// TestTakeoverGoesOnWithoutAnotherOwnersPlugin: who recovers need not have what
// the others hold; they are named, and their older keys stand on the nodes.
func TestTakeoverGoesOnWithoutAnotherOwnersPlugin(t *testing.T) {
	living(t, 3, 3, func(t *testing.T, w *world, _ Kit) {
		f := w.find(t, FindConfig{Identity: &w.owner, From: w.candidates(w.nodes...)})
		theirs := plugin.EncodeRecipient("nobody-has-it", []byte("x"))
		f.Owners = append(f.Owners, theirs)
		taken := must1(MakeTakeover(TakeoverConfig{Found: f, Owner: &w.owner, Random: chance(5)}))(t)
		if len(taken.Unwrapped) != 1 || len(taken.Owners) != len(f.Owners) {
			t.Fatalf("without keys: %q; owners %q", taken.Unwrapped, taken.Owners)
		}
		wantText(t, "who is without keys", errors.New(taken.Unwrapped[0]), theirs, "age-plugin-nobody-has-it is not in the PATH")
		for _, file := range taken.Keys {
			k := must1(crypt.ParseKeys(file.Data, crypt.TrustKeys(testStore, taken.Identity.Public().Sign)))(t)
			if key, err := k.Open(w.owner); err != nil || key != w.key {
				t.Errorf("the owner who recovers: %v", err)
			}
		}
	})
}
