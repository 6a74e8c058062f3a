package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"
)

// pluginOwner is an owner of the tests' plugin: a recipient, and an identity
// that behaves as word says.
func pluginOwner(t *testing.T, how, word string) (recipient, identity string) {
	t.Helper()
	x, err := age.GenerateX25519Identity()
	must(t, err)
	return plugin.EncodeRecipient("cairntest", []byte(how+" "+x.Recipient().String())), plugin.EncodeIdentity("cairntest", []byte(word+" "+x.String()))
}

// Owners whose keys a plugin of age holds, on a hardware token say, are owners
// as any other: init, key recipients, the kit and recover take them, and a
// person is asked for the PIN.
func TestOwnersWithAnAgePlugin(t *testing.T) {
	mia, miaFile := pluginOwner(t, "", "pin")
	alone, _ := pluginOwner(t, "alone", "plain")
	m := newMachine(t, "")
	buildPlugin(t, m.path("plugin"))
	t.Setenv("PATH", m.root)
	if r := m.run("init", "--recipient", mia); r.status != 6 || !strings.Contains(r.err, "the program age-plugin-cairntest is not in the PATH") {
		t.Errorf("without the program: %+v", r)
	}
	if _, err := os.Stat(m.path("state/secrets")); err == nil {
		t.Fatal("what was refused left a store")
	}
	must(t, os.Rename(m.path("plugin"), m.path("age-plugin-cairntest")))
	b := newBurningOn(t, m, "", "--recipient", mia)
	b.secret("mia", "# a token\n"+miaFile+"\n")
	// The kit is one file for all owners: one who does not go together with the
	// others is refused before anything changes.
	if r := b.run("key", "recipients", "add", alone); r.status != 2 || !strings.Contains(r.err, "nothing was changed") {
		t.Errorf("a recipient that goes with no other: %+v", r)
	}
	tom, tomFile := newSSHKey(t)
	b.ok("key", "recipients", "add", tom)
	b.secret("tom", tomFile)
	if out := b.ok("key", "recipients", "list"); out != mia+"\n"+tom+"\n" {
		t.Errorf("owners:\n%s", out)
	}

	recoverBy := func(pin string) (status int, said string) {
		var out, errs bytes.Buffer
		e := b.env(&out, &errs)
		if pin != "" {
			e.person, e.secret = true, func(context.Context) (string, error) { return pin, nil }
		}
		status = run(t.Context(), e, []string{"recover", "--kit", b.path("kit.age"), "--identity", b.path("mia"), "--takeover", "--config", b.path("cairn.toml")})
		return status, out.String() + errs.String()
	}
	b.burn()
	if status, said := recoverBy(""); status != 6 || !strings.Contains(said, "age-plugin-cairntest") {
		t.Errorf("nobody to ask: %d %s", status, said)
	}
	if status, said := recoverBy("4321"); status != 6 || strings.Contains(said, "4321") {
		t.Errorf("a wrong PIN: %d %s", status, said)
	}
	if status, said := recoverBy("1234"); status != 0 || !strings.Contains(said, "PIN:") || !strings.Contains(said, "everything spread is here") {
		t.Fatalf("with the PIN: %d %s", status, said)
	}
	s := b.serve()
	b.exact(s)
	s.end(t)

	// Another owner recovers where the plugin is not at hand, and is told.
	b.burn()
	must(t, os.Rename(b.path("age-plugin-cairntest"), b.path("plugin")))
	out := b.ok("recover", "--kit", b.path("kit.age"), "--identity", b.path("tom"), "--takeover")
	if !strings.Contains(out, "owner   "+mia) || !strings.Contains(out, "install it on this machine") || !strings.Contains(out, "cairn key rotate") {
		t.Errorf("recover does not say that an owner is without keys:\n%s", out)
	}
	kit, err := os.ReadFile(b.path("kit.age"))
	must(t, err)
	must(t, os.Rename(b.path("plugin"), b.path("age-plugin-cairntest")))
	b.ok("key", "rotate")
	if now, err := os.ReadFile(b.path("kit.age")); err != nil || bytes.Equal(now, kit) {
		t.Errorf("the kit was not rewritten when the plugin was there again: %v", err)
	}
	b.burn()
	if status, said := recoverBy("1234"); status != 0 {
		t.Errorf("the first owner again: %d %s", status, said)
	}
	s = b.serve()
	b.exact(s)
	s.end(t)
}

func buildPlugin(t *testing.T, to string) {
	t.Helper()
	out, err := exec.Command("go", "build", "-o", to, "../../testdata/age-plugin-cairntest").CombinedOutput()
	if err != nil {
		t.Fatalf("build the plugin: %v\n%s", err, out)
	}
}
