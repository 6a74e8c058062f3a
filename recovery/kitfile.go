package recovery

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/layout"
	"github.com/cairn-storage/cairn/pack"
)

// kitVersion is the version of kits that are written. What is in a kit changes
// only together with it.
const kitVersion = 1

// kitFile gives the spelling of a kit: JSON, so that a person with age and an
// editor finds addresses and passwords even without cairn.
type kitFile struct {
	Version  int              `json:"cairn_kit"`
	Store    string           `json:"store"`
	Made     uint64           `json:"made_ms"`
	Sequence uint64           `json:"root"`
	Root     string           `json:"root_hash"`
	Owner    string           `json:"owner_key,omitempty"`
	Owners   []string         `json:"owners"`
	Gateways []kitFileGateway `json:"gateways"`
	Coding   string           `json:"coding"`
	Nodes    []kitFileNode    `json:"nodes"`
	Identity string           `json:"gateway_identity"`
	Keys     []kitFileKeys    `json:"keys"`
}

type kitFileGateway struct {
	Key        string `json:"key"`
	Number     uint64 `json:"number"`
	Recipient  string `json:"recipient"`
	Delegation []byte `json:"delegation,omitempty"`
}

type kitFileNode struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Operator   string            `json:"operator"`
	Site       string            `json:"site,omitempty"`
	Remote     string            `json:"remote"`
	HostKey    string            `json:"host_key,omitempty"`
	Credential []byte            `json:"credential,omitempty"`
	Capacity   uint64            `json:"capacity,omitempty"`
	State      string            `json:"state"`
	Added      uint64            `json:"added_ms"`
	Option     map[string]string `json:"options,omitempty"`
}

type kitFileKeys struct {
	Path string `json:"path"`
	Data []byte `json:"data"`
}

func (kit Kit) encode() ([]byte, error) {
	f := kitFile{Version: kitVersion, Store: kit.Store.String(), Made: kit.Made, Sequence: kit.Sequence, Root: hex.EncodeToString(kit.Root[:]),
		Owners: kit.Owners, Coding: kit.Coding, Identity: string(kit.Identity)}
	if kit.Owner != (crypt.PublicKey{}) {
		f.Owner = hex.EncodeToString(kit.Owner[:])
	}
	for _, g := range kit.Gateways {
		f.Gateways = append(f.Gateways, kitFileGateway{hex.EncodeToString(g.Key[:]), g.Number, g.Recipient, g.Delegation})
	}
	for _, n := range kit.Nodes {
		f.Nodes = append(f.Nodes, kitFileNode{n.ID.String(), n.Name, n.Operator, n.Site, n.Remote, n.HostKey, n.Credential, n.Capacity, n.State, n.Added, n.Option})
	}
	for _, k := range kit.Keys {
		f.Keys = append(f.Keys, kitFileKeys(k))
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(f); err != nil {
		return nil, fmt.Errorf("%v: %w", err, cairn.ErrInvalid)
	}
	// What would not open again must not be kept for the day it is needed.
	if _, err := parseKit(b.Bytes()); err != nil {
		return nil, fmt.Errorf("it could not be read back: %v: %w", err, cairn.ErrInvalid)
	}
	return b.Bytes(), nil
}

// parseKit is the inverse of encode. Errors are of class ErrCorrupt, but for a
// kit of a newer release, ErrInvalid; they quote no secret.
func parseKit(plain []byte) (Kit, error) {
	bad := func(field, why string) (Kit, error) {
		return Kit{}, fmt.Errorf("field %s: %s: %w", field, why, cairn.ErrCorrupt)
	}
	var version struct {
		Version int `json:"cairn_kit"`
	}
	if err := json.Unmarshal(plain, &version); err != nil || version.Version == 0 {
		return Kit{}, fmt.Errorf("what is in it is not what cairn writes: %w", cairn.ErrCorrupt)
	}
	if version.Version != kitVersion {
		return Kit{}, fmt.Errorf("it has version %d and this cairn reads version %d; install a newer cairn: %w", version.Version, kitVersion, cairn.ErrInvalid)
	}
	var f kitFile
	d := json.NewDecoder(bytes.NewReader(plain))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return Kit{}, fmt.Errorf("what is in it is not what cairn writes: %v: %w", err, cairn.ErrCorrupt)
	}
	if _, err := d.Token(); err != io.EOF {
		return Kit{}, fmt.Errorf("bytes follow its end: %w", cairn.ErrCorrupt)
	}
	kit := Kit{Made: f.Made, Sequence: f.Sequence, Owners: f.Owners, Coding: f.Coding}
	var err error
	if kit.Store, err = cairn.ParseStoreID(f.Store); err != nil {
		return bad("store", "no store id")
	}
	if !unhex(kit.Root[:], f.Root) {
		return bad("root_hash", "no hash of 64 lower-case hex digits")
	}
	if f.Owner != "" && !unhex(kit.Owner[:], f.Owner) {
		return bad("owner_key", "no key of 64 lower-case hex digits")
	}
	if f.Identity != "" {
		kit.Identity = []byte(f.Identity)
	}
	for i, g := range f.Gateways {
		out := KitGateway{Number: g.Number, Recipient: g.Recipient, Delegation: g.Delegation}
		if !unhex(out.Key[:], g.Key) {
			return bad(fmt.Sprintf("gateways[%d].key", i), "no key of 64 lower-case hex digits")
		}
		kit.Gateways = append(kit.Gateways, out)
	}
	for i, n := range f.Nodes {
		id, err := cairn.ParseNodeID(n.ID)
		if err != nil {
			return bad(fmt.Sprintf("nodes[%d].id", i), "no node id")
		}
		kit.Nodes = append(kit.Nodes, pack.Node{ID: id, Name: n.Name, Operator: n.Operator, Site: n.Site, Remote: n.Remote, HostKey: n.HostKey,
			Credential: n.Credential, Capacity: n.Capacity, State: n.State, Added: n.Added, Option: n.Option})
	}
	for i, k := range f.Keys {
		if _, hash, err := layout.ParseKeyPath(k.Path); err != nil || hash != crypt.KeysHash(k.Data) {
			return bad(fmt.Sprintf("keys[%d]", i), "not the file its name says")
		}
		kit.Keys = append(kit.Keys, KeysFile(k))
	}
	return kit, nil
}

// unhex fills b from its one spelling in hex.
func unhex(b []byte, text string) bool {
	got, err := hex.DecodeString(text)
	return err == nil && copy(b, got) == len(b) && len(got) == len(b) && hex.EncodeToString(b) == text
}
