package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCurl: the machine's curl with --aws-sigv4, which before version 8 does
// not say what of the body it signed.
func TestCurl(t *testing.T) {
	ctx := limit(t, 2*time.Minute)
	d := demo(t, ctx)
	k := newDesk(t, ctx, d, 2)
	o := Objects{seed(t)}
	home := t.TempDir()
	tool := Tool{Home: home}
	version, err := tool.Run(ctx, "curl", "--version")
	if err != nil {
		t.Skipf("no curl here: %v", err)
	}
	version, _, _ = strings.Cut(version, "(")
	figure(t, "%s", strings.TrimSpace(version))
	curl := func(args ...string) (code string) {
		t.Helper()
		out, err := tool.Run(ctx, "curl", append([]string{"-sS", "-o", "out", "-w", "%{http_code}", "--aws-sigv4", "aws:amz:" + d.Region + ":s3",
			"--user", d.AccessKey + ":" + d.SecretKey}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	said := func() string { b, _ := os.ReadFile(filepath.Join(home, "out")); return fmt.Sprintf("%.300s", b) }
	file := func(name string, body []byte) {
		if err := os.WriteFile(filepath.Join(home, name), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := func(key string) string { return d.Endpoint + "/" + d.Bucket + "/" + key }
	body := o.Version(1, 0, 300<<10)
	file("one", body)

	t.Run("a body that curl hashes", func(t *testing.T) {
		if code := curl("-X", "PUT", "-H", "Content-Type: application/octet-stream", "--data-binary", "@one", at("curl/data")); code != "200" {
			t.Fatalf("HTTP %s: %s", code, said())
		}
		k.holds(t, "curl/data", body)
	})
	t.Run("get, range, head and delete", func(t *testing.T) {
		k.put(t, "curl/get", body)
		for _, c := range []struct {
			args []string
			code string
			want []byte
		}{
			{nil, "200", body},
			{[]string{"-r", "1000-1999"}, "206", body[1000:2000]},
			{[]string{"-r", "-5"}, "206", body[len(body)-5:]},
		} {
			if code := curl(append(c.args, at("curl/get"))...); code != c.code {
				t.Errorf("%v: HTTP %s: %s", c.args, code, said())
			}
			got, err := os.ReadFile(filepath.Join(home, "out"))
			if err == nil {
				err = compare("curl/get", got, c.want)
			}
			if err != nil {
				t.Errorf("%v: %v", c.args, err)
			}
		}
		if code := curl("-I", at("curl/get")); code != "200" {
			t.Errorf("HEAD: HTTP %s", code)
		}
		if code := curl(d.Endpoint + "/" + d.Bucket + "?list-type=2&prefix=curl%2F"); code != "200" || !strings.Contains(said(), "<Contents>") {
			t.Errorf("list: HTTP %s: %s", code, said())
		}
		if code := curl("-X", "DELETE", at("curl/get")); code != "204" {
			t.Errorf("DELETE: HTTP %s: %s", code, said())
		}
		k.holds(t, "curl/get", nil)
	})
	large := o.Version(2, 0, 4<<20)
	file("large", large)
	t.Run("-T of 4 MiB, unsigned by name", func(t *testing.T) {
		if code := curl("-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "-T", "large", at("curl/large")); code != "200" {
			t.Fatalf("HTTP %s: %s", code, said())
		}
		k.holds(t, "curl/large", large)
	})
	t.Run("-T of 4 MiB, its hash by name", func(t *testing.T) {
		if code := curl("-H", "x-amz-content-sha256: "+hexSum(large), "-T", "large", at("curl/hashed")); code != "200" {
			t.Fatalf("HTTP %s: %s", code, said())
		}
		k.holds(t, "curl/hashed", large)
	})
	t.Run("-T of 4 MiB as it is", func(t *testing.T) {
		// curl before 8 signs the hash of nothing for a body that it streams:
		// that is either told clearly or taken, and never half of it.
		code := curl("-T", "large", at("curl/plain"))
		switch code {
		case "200":
			k.holds(t, "curl/plain", large)
		case "400", "403":
			if answer := said(); !strings.Contains(answer, "x-amz-content-sha256") {
				t.Errorf("HTTP %s does not say what to do: %s", code, answer)
			}
			k.holds(t, "curl/plain", nil)
		default:
			t.Errorf("HTTP %s: %s", code, said())
		}
		figure(t, "HTTP %s", code)
	})
	t.Run("HTTP Basic", func(t *testing.T) {
		if _, err := tool.Run(ctx, "curl", "-sSf", "-u", d.AccessKey+":"+d.SecretKey, "-T", "large", at("curl/basic")); err != nil {
			t.Fatal(err)
		}
		k.holds(t, "curl/basic", large)
	})
}
