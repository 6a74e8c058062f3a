package main

import (
	"strings"
	"testing"

	"github.com/cairn-storage/cairn/config"
)

// TestAccessKeyForEachClient: --for chooses what is printed; the secret is
// never asked for again.
func TestAccessKeyForEachClient(t *testing.T) {
	m := newStore(t, "s3.public_url = \"https://cache.example.org/\"\ns3.region = \"eu-1\"")
	m.ok("bucket", "create", "cache")
	parts := map[string][]string{
		"attic":  {"[storage]\ntype = \"s3\"\nregion = \"eu-1\"\nbucket = \"cache\"\nendpoint = \"https://cache.example.org\"\n[storage.credentials]\n"},
		"aws":    {"export AWS_ENDPOINT_URL=https://cache.example.org AWS_REGION=eu-1 ", " AWS_DEFAULT_REGION=eu-1\n"},
		"nix":    {"extra-substituters = https://cache.example.org/cache\n", "netrc-file = ", "\nmachine cache.example.org login CK", "nix copy --to 'https://cache.example.org/cache?secret-key="},
		"rclone": {"[cairn]\ntype = s3\nprovider = Other\nendpoint = https://cache.example.org\nregion = eu-1\nforce_path_style = true\naccess_key_id = CK"},
	}
	for _, c := range []struct{ flags, shows string }{
		{"", "attic aws"},
		{"--for attic", "attic"},
		{"--for nix", "nix"},
		{"--for rclone --for aws", "rclone aws"},
		{"--for all", "attic aws nix rclone"},
	} {
		text := m.ok(append([]string{"access", "create", "--write", "cache"}, strings.Fields(c.flags)...)...)
		for name, words := range parts {
			for _, w := range words {
				if shown, want := strings.Contains(text, w), strings.Contains(c.shows, name); shown != want {
					t.Errorf("%q shows %q: %v, want %v in\n%s", c.flags, w, shown, want, text)
				}
			}
		}
		if hint := strings.Contains(text, "--for nix, rclone"); hint != (c.flags == "") {
			t.Errorf("%q: hint %v in\n%s", c.flags, hint, text)
		}
	}
	before := len(jsonOf[[]access](m, "access", "list"))
	r := m.run("access", "create", "--write", "cache", "--for", "garage")
	if r.status != 2 || !strings.Contains(r.err, `--for "garage": use attic, aws, nix, rclone or all`) {
		t.Errorf("%+v", r)
	}
	if after := len(jsonOf[[]access](m, "access", "list")); after != before {
		t.Error("a key was made though its output was refused: nobody has seen its secret")
	}

	made := jsonOf[made](m, "access", "create", "--write", "cache", "--name", "ci")
	if made.Name != "ci" || made.Secret == "" || made.Paste.Netrc != "machine cache.example.org login "+made.ID+" password "+made.Secret+"\n" {
		t.Errorf("%+v", made)
	}
	for _, text := range []string{made.Paste.Attic, made.Paste.AWS, made.Paste.Rclone, made.Paste.Netrc} {
		if !strings.Contains(text, made.ID) || !strings.Contains(text, made.Secret) || !strings.HasSuffix(text, "\n") {
			t.Errorf("not to be pasted: %q", text)
		}
	}
}

func TestAddressForClients(t *testing.T) {
	for _, c := range []struct {
		listen, public string
		endpoint, host string
		plain          bool
	}{
		{"127.0.0.1:9000", "", "http://127.0.0.1:9000", "127.0.0.1", false},
		{"localhost:9000", "", "http://localhost:9000", "localhost", false},
		{"[::1]:9000", "", "http://[::1]:9000", "::1", false},
		{"10.1.2.3:9000", "", "http://10.1.2.3:9000", "10.1.2.3", true},
		{":9000", "", "http://YOUR-HOST:9000", "YOUR-HOST", true},
		{"0.0.0.0:9000", "", "http://YOUR-HOST:9000", "YOUR-HOST", true},
		{"[::]:9000", "", "http://YOUR-HOST:9000", "YOUR-HOST", true},
		{"unix:/run/cairn/s3.sock", "", "https://YOUR-PROXY", "YOUR-PROXY", false},
		{"unix:/run/cairn/s3.sock", "https://cache.example.org/", "https://cache.example.org", "cache.example.org", false},
		{"127.0.0.1:9000", "http://cache.example.org:8080", "http://cache.example.org:8080", "cache.example.org", true},
	} {
		endpoint, host, plain := addressOf(config.Config{S3: config.S3{Listen: c.listen, PublicURL: c.public}})
		if endpoint != c.endpoint || host != c.host || plain != c.plain {
			t.Errorf("%s %s: %s %s %v", c.listen, c.public, endpoint, host, plain)
		}
	}
}
