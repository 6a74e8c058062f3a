package main

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/cairn-storage/cairn/config"
)

// made is what access create answers with --json: the key, and it in the form
// of each client.
type made struct {
	access
	Paste paste `json:"paste"`
}

// paste is an access key in the files and words of the clients that use it.
type paste struct {
	Attic   string `json:"attic"`    // server.toml
	AWS     string `json:"aws"`      // for a shell
	NixConf string `json:"nix_conf"` // nix.conf of whoever reads
	Netrc   string `json:"netrc"`    // the file that nix.conf names
	NixCopy string `json:"nix_copy"` // a command that pushes
	Rclone  string `json:"rclone"`   // rclone.conf

	plain bool // http to another machine, where cairn takes no login and password
}

// form is one way to print an access key.
type form struct {
	name string
	text func(paste) string
}

// forms are all of them, in the order in which they are printed.
func forms() []form {
	return []form{
		{"attic", func(p paste) string { return "attic, server.toml:\n" + p.Attic }},
		{"aws", func(p paste) string { return "aws-cli:\n" + p.AWS }},
		{"nix", nixText},
		{"rclone", func(p paste) string { return "rclone, rclone.conf:\n" + p.Rclone }},
	}
}

func nixText(p paste) string {
	text := "Nix, nix.conf (a public bucket needs no netrc-file to read):\n" + p.NixConf +
		"Nix, /etc/nix/netrc, mode 0600:\n" + p.Netrc + "Nix, push:\n" + p.NixCopy
	if p.plain {
		text += "Nix sends login and password as they are: cairn takes them over https or on this machine only.\n"
	}
	return text
}

// formsFor are the forms that --for asked for, attic and aws without it.
func formsFor(v verb, clients []string) ([]form, error) {
	if len(clients) == 0 {
		return forms()[:2], nil
	}
	wanted := map[string]bool{}
	for _, c := range clients {
		known := c == "all"
		for _, f := range forms() {
			known = known || f.name == c
		}
		if !known {
			return nil, usageError(v, "--for %q: use attic, aws, nix, rclone or all", c)
		}
		wanted[c] = true
	}
	var out []form
	for _, f := range forms() {
		if wanted["all"] || wanted[f.name] {
			out = append(out, f)
		}
	}
	return out, nil
}

// pasteOf writes a key for a gateway with the settings c.
func pasteOf(a access, c config.Config, bucket string) paste {
	if bucket == "*" {
		bucket = "BUCKET"
	}
	region := c.S3.Region
	if region == config.AnyRegion {
		// Any would do; for us-east-1 aws-cli and boto3 presign with version 2.
		region = "auto"
	}
	endpoint, host, plain := addressOf(c)
	return paste{
		plain: plain,
		Attic: fmt.Sprintf(`[storage]
type = "s3"
region = "%s"
bucket = "%s"
endpoint = "%s"
[storage.credentials]
access_key_id = "%s"
secret_access_key = "%s"
`, region, bucket, endpoint, a.ID, a.Secret),
		AWS: fmt.Sprintf(`export AWS_ENDPOINT_URL=%s AWS_REGION=%s AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s AWS_DEFAULT_REGION=%s
aws s3 ls s3://%s/
`, endpoint, region, a.ID, a.Secret, region, bucket),
		NixConf: fmt.Sprintf(`extra-substituters = %s/%s
extra-trusted-public-keys = NAME-1:PUBLIC-KEY
netrc-file = /etc/nix/netrc
`, endpoint, bucket),
		Netrc:   fmt.Sprintf("machine %s login %s password %s\n", host, a.ID, a.Secret),
		NixCopy: fmt.Sprintf("nix copy --to '%s/%s?secret-key=/etc/nix/NAME-1.secret&compression=zstd' PATH\n", endpoint, bucket),
		Rclone: fmt.Sprintf(`[cairn]
type = s3
provider = Other
endpoint = %s
region = %s
force_path_style = true
access_key_id = %s
secret_access_key = %s
`, endpoint, region, a.ID, a.Secret),
	}
}

// addressOf is the endpoint that clients are given, its host without the port,
// and whether it is plain http to another machine.
func addressOf(c config.Config) (endpoint, host string, plain bool) {
	endpoint = strings.TrimRight(endpointOf(c), "/")
	u, err := url.Parse(endpoint)
	if err != nil { // config.Check has passed it; print it as it is
		return endpoint, endpoint, false
	}
	host = u.Hostname()
	ip := net.ParseIP(host)
	if c.S3.PublicURL == "" && (host == "" || ip.IsUnspecified()) {
		// It listens everywhere; which name leads there only a person knows.
		host = "YOUR-HOST"
		return u.Scheme + "://" + host + ":" + u.Port(), host, true
	}
	loopback := host == "localhost" || ip.IsLoopback()
	return endpoint, host, u.Scheme == "http" && !loopback
}
