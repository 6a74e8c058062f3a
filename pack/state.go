package pack

import (
	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/wire"
)

// Life is the first record of every life of a gateway process. What an earlier
// life wrote after Last is void, on disk and on nodes.
type Life struct {
	Tag  [16]byte    // random; tells two processes with the same number apart
	Last cairn.Stamp // the last valid record of the life before; zero for the first life
}

// Kind is KindLife.
func (Life) Kind() RecordKind { return KindLife }

func (l Life) encode(w *wire.Writer) { w.Raw(l.Tag[:]); w.U32(l.Last.Life); w.U64(l.Last.LSN) }

func readLife(r *wire.Reader) (l Life) {
	r.Raw(l.Tag[:])
	l.Last = cairn.Stamp{Life: r.U32(), LSN: r.U64()}
	return l
}

// Bucket makes a bucket or changes its settings. ID is the LSN of the record
// that made it, so that a bucket of the same name made later is another.
type Bucket struct {
	ID      uint64
	Name    string
	Created uint64 // Unix milliseconds
	Public  bool
	Setting map[string]string // settings of later releases
}

// Kind is KindBucket.
func (Bucket) Kind() RecordKind { return KindBucket }

func (b Bucket) encode(w *wire.Writer) {
	w.U64(b.ID)
	w.String(b.Name)
	w.U64(b.Created)
	w.Bool(b.Public)
	w.Map(b.Setting)
}

func readBucket(r *wire.Reader) Bucket {
	return Bucket{ID: r.U64(), Name: r.String(maxName), Created: r.U64(), Public: r.Bool(), Setting: r.Map(maxHeaders, maxText)}
}

// BucketGone removes an empty bucket.
type BucketGone struct{ ID uint64 }

// Kind is KindBucketGone.
func (BucketGone) Kind() RecordKind        { return KindBucketGone }
func (b BucketGone) encode(w *wire.Writer) { w.U64(b.ID) }

// Grant is one permission of an access key; Level is 1 read, 2 write, 3 admin,
// and Bucket a name or "*".
type Grant struct {
	Bucket string
	Level  uint8
}

// Access makes or changes an S3 access key. Secret is sealed under the
// gateway's identity.
type Access struct {
	ID      string
	Name    string
	Secret  []byte
	Created uint64 // Unix milliseconds
	Grants  []Grant
}

// Kind is KindAccess.
func (Access) Kind() RecordKind { return KindAccess }

func (a Access) encode(w *wire.Writer) {
	w.String(a.ID)
	w.String(a.Name)
	w.Bytes(a.Secret)
	w.U64(a.Created)
	w.Uvarint(uint64(len(a.Grants)))
	for _, g := range a.Grants {
		w.String(g.Bucket)
		w.U8(g.Level)
	}
}

func readAccess(r *wire.Reader) Access {
	a := Access{ID: r.String(maxName), Name: r.String(maxName), Secret: r.Bytes(maxText), Created: r.U64()}
	for range r.Uvarint(1000) {
		a.Grants = append(a.Grants, Grant{Bucket: r.String(maxName), Level: r.U8()})
	}
	return a
}

// AccessGone revokes an access key.
type AccessGone struct{ ID string }

// Kind is KindAccessGone.
func (AccessGone) Kind() RecordKind        { return KindAccessGone }
func (a AccessGone) encode(w *wire.Writer) { w.String(a.ID) }

// Node makes or changes a node. Credential is sealed under the gateway's
// identity.
type Node struct {
	ID         cairn.NodeID
	Name       string
	Operator   string
	Site       string
	Remote     string // address without secrets, such as sftp://user@host:port/path
	HostKey    string // SHA256:..., empty where the transport has none
	Credential []byte
	Capacity   uint64 // bytes that may be used; 0 for what the node says
	State      string // ok, draining, paused ...
	Added      uint64 // Unix milliseconds
	Option     map[string]string
}

// Kind is KindNode.
func (Node) Kind() RecordKind { return KindNode }

func (n Node) encode(w *wire.Writer) {
	w.Raw(n.ID[:])
	for _, s := range []string{n.Name, n.Operator, n.Site} {
		w.String(s)
	}
	w.String(n.Remote)
	w.String(n.HostKey)
	w.Bytes(n.Credential)
	w.U64(n.Capacity)
	w.String(n.State)
	w.U64(n.Added)
	w.Map(n.Option)
}

func readNode(r *wire.Reader) (n Node) {
	r.Raw(n.ID[:])
	n.Name, n.Operator, n.Site = r.String(maxName), r.String(maxName), r.String(maxName)
	n.Remote, n.HostKey = r.String(maxText), r.String(maxName)
	n.Credential = r.Bytes(maxText)
	n.Capacity = r.U64()
	n.State = r.String(maxName)
	n.Added = r.U64()
	n.Option = r.Map(maxHeaders, maxText)
	return n
}

// NodeGone removes a node: its shards count as gone from here on.
type NodeGone struct{ ID cairn.NodeID }

// Kind is KindNodeGone.
func (NodeGone) Kind() RecordKind        { return KindNodeGone }
func (n NodeGone) encode(w *wire.Writer) { w.Raw(n.ID[:]) }
func readNodeGone(r *wire.Reader) (n NodeGone) {
	r.Raw(n.ID[:])
	return n
}

// Setting is one setting of the whole store, such as coding.
type Setting struct{ Name, Value string }

// Kind is KindSetting.
func (Setting) Kind() RecordKind        { return KindSetting }
func (s Setting) encode(w *wire.Writer) { w.String(s.Name); w.String(s.Value) }

// Retired says that nothing refers to a pack any more and that its shards may
// go once the rules of deletion hold.
type Retired struct{ Pack cairn.PackID }

// Kind is KindRetired.
func (Retired) Kind() RecordKind        { return KindRetired }
func (p Retired) encode(w *wire.Writer) { w.Raw(p.Pack[:]) }
func readRetired(r *wire.Reader) (p Retired) {
	r.Raw(p.Pack[:])
	return p
}

// Void takes back the record stamped Of, which was logged but must not count.
type Void struct{ Of cairn.Stamp }

// Kind is KindVoid.
func (Void) Kind() RecordKind        { return KindVoid }
func (v Void) encode(w *wire.Writer) { w.U32(v.Of.Life); w.U64(v.Of.LSN) }
func readVoid(r *wire.Reader) Void {
	return Void{Of: cairn.Stamp{Life: r.U32(), LSN: r.U64()}}
}
