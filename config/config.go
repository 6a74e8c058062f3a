// Package config turns cairn.toml into one typed struct and refuses what it
// does not understand.
//
// Reading order: config.go (every key, and the defaults), load.go (file to
// struct, strict), keys.go (which keys exist, and which one was meant), units.go,
// budget.go, bwlimit.go and ack.go (sizes, durations, coding, budgets, rates,
// acks), check.go, check_s3.go and check_keep.go (what must hold), secret.go
// and pair.go (files that others may not read), show.go (the struct back to TOML).
//
// It knows this machine only. Nodes, buckets and access keys are store state;
// the [[node]] and [[bucket]] tables here are declarations that somebody else
// applies. It opens no socket and no store, and never writes a file.
package config

import (
	"path/filepath"
	"time"
)

// Config is all of cairn.toml. A value from Load is checked and has every
// default filled in.
type Config struct {
	// Dir is the state directory of this gateway: stage, index, secrets, lock.
	// An absolute path. Default "/var/lib/cairn".
	Dir string `toml:"dir"`
	// Identity is the gateway's own identity, an age file that nobody else may
	// read. Never inline, never under /nix/store. Default "identity" below dir.
	Identity string `toml:"identity"`
	// Memory bounds the buffers for bodies, frames and shards on their way;
	// caches are extra. At least 32MiB. Default "128MiB".
	Memory Size `toml:"memory"`
	// Kit is where the recovery kit is written, anew whenever nodes or owners
	// change: a file that only owners can open. Outside of dir, where it is
	// backed up. Default: none; `cairn key kit` writes one by hand.
	Kit string `toml:"kit"`

	S3      S3       `toml:"s3"`     // the endpoint that clients talk to
	Admin   Admin    `toml:"admin"`  // the endpoints for people and monitoring
	Store   Store    `toml:"store"`  // how objects become packs
	Stage   Stage    `toml:"stage"`  // packs that the nodes do not have yet
	Cache   Cache    `toml:"cache"`  // verified blocks kept near
	Scrub   Scrub    `toml:"scrub"`  // how the bytes on nodes are looked after
	Repair  Repair   `toml:"repair"` // when what nodes lost is made again
	Nodes   []Node   `toml:"node"`   // declared nodes, applied at start
	Buckets []Bucket `toml:"bucket"` // declared buckets, applied at start
	Keep    []Keep   `toml:"keep"`   // small state of other programs, kept in the store
}

// S3 is the [s3] table.
type S3 struct {
	// Listen is "host:port" or "unix:/path". Default "127.0.0.1:9000".
	Listen string `toml:"listen"`
	// Region is the region that clients must sign for; "any" accepts what each
	// client scoped its signature to. Default "any".
	Region string `toml:"region"`
	// PublicURL is what clients sign and are redirected to when a proxy stands
	// in front, such as "https://cache.example.org". Default: what they send.
	PublicURL string `toml:"public_url"`
	// Domains are names below which a host names its bucket: with
	// ["s3.example.org"], photos.s3.example.org is the bucket photos. The path
	// names it on every other host, and on the domain itself. Default: none.
	Domains []string `toml:"domains"`
	// TrustProxy lists addresses and networks of proxies, and "unix" for one
	// that comes over the unix socket, whose X-Forwarded-For, -Proto and -Host
	// are believed; the proxy must set them itself. Default: none.
	TrustProxy []string `toml:"trust_proxy"`
	// InsecureBasic takes HTTP Basic also over plain HTTP from other machines,
	// where whoever is on the way reads the secret. Default false.
	InsecureBasic bool `toml:"insecure_basic"`
	// AccessLog is which requests get a line at level info: "errors" for those
	// refused or failed, "all", or "off". All have one at level debug, and what
	// is wrong with the gateway itself is told at warn and error. Default
	// "errors".
	AccessLog string `toml:"access_log"`
	// TLS is the certificate that S3 is served with; without it, plain HTTP.
	TLS TLS `toml:"tls"`
}

// TLS is the [s3.tls] table. Both files are read again when they change.
type TLS struct {
	// Cert is the path of the certificate with its issuers behind it, PEM.
	Cert string `toml:"cert"`
	// Key is the path of its private key, PEM, that nobody else may read.
	Key string `toml:"key"`
}

// On reports whether there is a certificate to serve with.
func (t TLS) On() bool { return t.Cert != "" }

// Admin is the [admin] table.
type Admin struct {
	// Listen is "host:port" or "unix:/path" of health, metrics and the JSON
	// API; "" opens none. Default "127.0.0.1:9001".
	Listen string `toml:"listen"`
	// Socket is the path that verbs of the command line find a running gateway
	// at. Default "admin.sock" below dir.
	Socket string `toml:"socket"`
}

// Store is the [store] table.
type Store struct {
	// Coding is "auto" or k+m such as "4+3"; packs that stand keep theirs.
	// Default "auto".
	Coding Coding `toml:"coding"`
	// Ack is when a PUT is answered: "staged", when this disk has it for
	// certain, or "spread", when m+1 nodes have it too, so that it survives
	// losing this disk at that instant. Buckets may say otherwise. Default
	// "staged".
	Ack Ack `toml:"ack"`
	// Checkpoint is how often the index is written to the nodes, so that a new
	// gateway needs to read little else. 1m to 7d. Default "1h".
	Checkpoint Duration `toml:"checkpoint"`
	// Flush says when an open pack is sealed before it is full.
	Flush Flush `toml:"flush,inline"`
}

// Flush is store.flush.
type Flush struct {
	// Max is the age at which an open pack is sealed and sent to the nodes,
	// 100ms to 24h. Default "30s".
	Max Duration `toml:"max"`
}

// Stage is the [stage] table.
type Stage struct {
	// Limit is how much this disk holds for the nodes; with it all used, writes
	// wait and then are refused. At least 64MiB. Default "20GiB".
	Limit Size `toml:"limit"`
	// Settle is how long a fully spread pack is kept in the stage before it is
	// released; "0s" releases it at once, up to 7d. Default "10m".
	Settle Duration `toml:"settle"`
}

// Cache is the [cache] table.
type Cache struct {
	// Dir holds the disk cache; it may be emptied at any time while cairn is
	// stopped. Default "cache" below the state directory.
	Dir string `toml:"dir"`
	// Limit bounds the disk cache; "0B" keeps none. Default "20GiB".
	Limit Size `toml:"limit"`
	// Memory bounds the blocks cached in memory; "0B" keeps none. Default "64MiB".
	Memory Size `toml:"memory"`
}

// Scrub is the [scrub] table.
type Scrub struct {
	// Every is how long a round of reading every byte on the nodes is to take,
	// as far as each node's traffic allows; 1d to 365d. Default "30d".
	Every Duration `toml:"every"`
	// Listing is how often each node is asked for the list of its files, 1m to
	// 30d. Default "24h".
	Listing Duration `toml:"listing"`
	// Bwlimit is how many bytes a second all background work together may move:
	// scrub, repair, drain, compaction. rclone's timetable, such as "8M" or
	// "08:00,1M 23:00,off"; K, M and G are powers of 1024. Default "off".
	Bwlimit Bwlimit `toml:"bwlimit"`
}

// Repair is the [repair] table.
type Repair struct {
	// After is how long a node may be away before what it holds is made again on
	// others, 10m to 30d; at once when k+1 or fewer good shards of a pack are
	// left. Only time in which the gateway ran counts. Default "24h".
	After Duration `toml:"after"`
}

// Node is one [[node]] table.
type Node struct {
	// Name is how people call the node: a-z, 0-9 and hyphens, unique. Required.
	Name string `toml:"name"`
	// Operator is the person who runs it, the failure domain. Default: the name.
	Operator string `toml:"operator"`
	// Remote is where it is: "sftp://user@host:port/path", "local:/path" or an
	// rclone remote "name:path". Never with a password in it. Required.
	Remote string `toml:"remote"`
	// HostKey pins the SSH host key, "SHA256:" and 43 characters as ssh-keygen
	// -l prints them. Required for sftp.
	HostKey string `toml:"host_key"`
	// KeyFile is the SSH private key that logs in. Without it and without
	// PasswordFile the gateway's own key does, which node add prints.
	KeyFile string `toml:"key_file"`
	// PasswordFile holds the password that logs in; one line.
	PasswordFile string `toml:"password_file"`
	// Capacity is how much cairn may use there, more than nothing. Default: what
	// the node says it has free.
	Capacity Size `toml:"capacity"`
	// Site is the place it stands at, for people and for placement.
	Site string `toml:"site"`
	// Traffic is how much a month background work may move to and from it, such
	// as "300G" or "300G/month". Default: no bound.
	Traffic string `toml:"traffic"`
	// Hours are the times of day of background work with it, by this machine's
	// clock, such as "22:00-07:00". Default: any time.
	Hours string `toml:"hours"`
}

// Bucket is one [[bucket]] table.
type Bucket struct {
	// Name is 3 to 63 bytes as S3 has it, unique. Required.
	Name string `toml:"name"`
	// Public lets anyone read its objects without a key. Default false.
	Public bool `toml:"public"`
}

// Keep is one [[keep]] table: what a recovered gateway lays out beside the
// store, such as the dump of a database.
type Keep struct {
	// Name is how people call it: a-z, 0-9 and hyphens, unique. Required.
	Name string `toml:"name"`
	// Command writes to its output what is kept. It is run as it stands,
	// without a shell. This or file is required.
	Command []string `toml:"command"`
	// File is the absolute path of a file that is kept.
	File string `toml:"file"`
	// Every is how often, 1m to 90d. Default "1h".
	Every Duration `toml:"every"`
	// Keep is how many of them are kept, 1 to 1000. Default 3.
	Keep int `toml:"keep"`
}

// Default is the configuration of a machine that says nothing. The paths that
// lie below dir are empty until Resolve.
func Default() Config {
	return Config{
		Dir:    "/var/lib/cairn",
		Memory: 128 * MiB,
		S3:     S3{Listen: "127.0.0.1:9000", Region: AnyRegion, AccessLog: "errors"},
		Admin:  Admin{Listen: "127.0.0.1:9001"},
		Store:  Store{Ack: Staged, Checkpoint: Duration(time.Hour), Flush: Flush{Max: Duration(30 * time.Second)}},
		Stage:  Stage{Limit: 20 * GiB, Settle: Duration(10 * time.Minute)},
		Cache:  Cache{Limit: 20 * GiB, Memory: 64 * MiB},
		Scrub:  Scrub{Every: Duration(30 * day), Listing: Duration(day)},
		Repair: Repair{After: Duration(day)},
	}
}

// AnyRegion accepts every region that a client signs for.
const AnyRegion = "any"

// Resolve returns c with what follows from other keys filled in where it was
// left empty: the paths below dir, the operators of nodes, how often and how
// much is kept. c is unchanged.
func (c Config) Resolve() Config {
	below := func(path *string, name string) {
		if *path == "" {
			*path = filepath.Join(c.Dir, name)
		}
	}
	below(&c.Identity, "identity")
	below(&c.Admin.Socket, "admin.sock")
	below(&c.Cache.Dir, "cache")
	for _, list := range []*[]string{&c.S3.Domains, &c.S3.TrustProxy} {
		if len(*list) == 0 { // one spelling of none
			*list = nil
		}
	}
	c.Nodes = append([]Node(nil), c.Nodes...)
	for i := range c.Nodes {
		if c.Nodes[i].Operator == "" {
			c.Nodes[i].Operator = c.Nodes[i].Name
		}
	}
	c.Keep = append([]Keep(nil), c.Keep...)
	for i := range c.Keep {
		c.Keep[i] = c.Keep[i].resolve()
	}
	return c
}

func (k Keep) resolve() Keep {
	if k.Every == 0 {
		k.Every = Duration(time.Hour)
	}
	if k.Keep == 0 {
		k.Keep = 3
	}
	if len(k.Command) == 0 { // one spelling of none
		k.Command = nil
	}
	return k
}
