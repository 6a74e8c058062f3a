package sim

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"time"
)

// Verb is what a step does.
type Verb uint8

// The verbs.
const (
	Put          Verb = iota + 1 // Content of Size to Key, under Cond
	Copy                         // From to Key
	Delete                       // Key, under Cond
	Get                          // Key whole, and ranges of it
	List                         // a bucket, in pages
	MakeBucket                   // the second bucket
	DropBucket                   // the second bucket
	Publish                      // the first bucket, N odd: public
	Grant                        // access key N
	Revoke                       // access key N
	CreateUpload                 // of Key
	PutPart                      // part N of an upload of Key
	Complete                     // an upload of Key
	Abort                        // an upload of Key
	Flush                        // and wait
	Pass                         // time For, everything at rest
	Ail                          // Node ails from Ill, for Share of its calls or files
	Heal                         // Node
	Break                        // N steps of the disk, see Fault
	Full                         // the disk has Size bytes left
	Mend                         // the disk
	Light                        // Fuse
	Pull                         // the plug, keeping Percent of what was not synced
	Restart                      // the gateway, N times
	Off                          // the gateway, for For
	LoseIndex                    // and restart, N clean nodes silent at first
	Burn                         // the gateway and its disk; the next begins with the owner's identity and Node's address
	Second                       // gateway on the same directory: must be refused
	Check                        // everything is read
	Scrub                        // every node is listed, shards are read, N even: all; what is not good is made again
	Repair                       // what is known not to be good is made again
	Drain                        // Node gives what it holds to others
	Rebalance                    // shards move to nodes with more room
	Compact                      // live frames of packs, N = 0: of all, are written anew
	Collect                      // what nothing refers to is deleted, after a checkpoint
	verbEnd
)

var verbs = [verbEnd]string{"", "Put", "Copy", "Delete", "Get", "List", "MakeBucket", "DropBucket", "Publish", "Grant", "Revoke",
	"CreateUpload", "PutPart", "Complete", "Abort", "Flush", "Pass", "Ail", "Heal", "Break", "Full", "Mend", "Light", "Pull", "Restart", "Off", "LoseIndex", "Burn", "Second", "Check",
	"Scrub", "Repair", "Drain", "Rebalance", "Compact", "Collect"}

func (v Verb) String() string { return verbs[v] }

// Cond is what a write asks for.
type Cond uint8

// The conditions.
const (
	Always  Cond = iota
	IfNone       // nothing is there
	IfMatch      // what the model thinks is there
	IfOther      // an ETag that nothing has
)

func (c Cond) String() string { return [...]string{"Always", "IfNone", "IfMatch", "IfOther"}[c] }

// Fault is how a disk fails.
type Fault uint8

// The faults.
const (
	ReadFails Fault = iota + 1
	WriteFails
	SyncFails
	SyncFailsDone  // it is synced, and says that it is not
	CreateFails    // of a file
	RenameFails    // of a file
	SyncDirFails   // of a directory
	AllocateFails  // of room
	WriteFailsDone // it is written, and says that it is not
)

func (f Fault) String() string {
	return [...]string{"", "ReadFails", "WriteFails", "SyncFails", "SyncFailsDone", "CreateFails", "RenameFails", "SyncDirFails", "AllocateFails", "WriteFailsDone"}[f]
}

// Step is one thing that happens. Which fields count depends on Do.
type Step struct {
	Do        Verb
	Key, From int
	Size      int64
	Content   uint64
	Unknown   bool // the size of a put is not announced
	Broken    bool // the body of a put fails half way
	Cond      Cond
	N         int
	Node      int
	Ill       Ill
	Share     float64
	For       time.Duration
	Fault     Fault
	Fuse      Fuse
	Percent   int
}

// String is the step as Go writes it, without what is zero.
func (s Step) String() string { return goText(reflect.ValueOf(s)) }

// goText writes a struct or value as a literal of this package.
func goText(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Struct:
		var fields []string
		for i := range v.NumField() {
			if f := v.Field(i); !f.IsZero() {
				fields = append(fields, v.Type().Field(i).Name+": "+goText(f))
			}
		}
		name := ""
		if v.Type() == reflect.TypeFor[Fuse]() {
			name = "Fuse"
		}
		return name + "{" + strings.Join(fields, ", ") + "}"
	case reflect.Slice:
		var items []string
		for i := range v.Len() {
			items = append(items, goText(v.Index(i)))
		}
		return v.Type().String() + "{" + strings.Join(items, ", ") + "}"
	case reflect.String:
		return fmt.Sprintf("%q", v.String())
	}
	if d, ok := v.Interface().(time.Duration); ok {
		return fmt.Sprintf("%d * time.Second", int64(d/time.Second))
	}
	return fmt.Sprint(v.Interface())
}

// Setup is the store of a run.
type Setup struct {
	Seed      uint64
	Coding    string
	Nodes     int
	Operators int   // the nodes belong to these in turn
	Bad       []int // nodes that may do anything; all others are clean
	PackSize  uint32
	Settle    time.Duration
	Stage     int64         // bytes; 0 for plenty
	Grace     time.Duration // before what is retired is deleted; 0 for one that a run sees pass
	DiskCache int64         // bytes
	Most      int64         // bytes of the largest object
	Loops     bool          // the loops that keep a store whole run
	Brief     bool          // the run ends soon after its first power loss, with less of Finish
	Beyond    bool          // Bad exceeds what must be survivable: reads may fail, never lie
}

func (s Setup) String() string { return "Setup" + goText(reflect.ValueOf(s)) }

// shapes are the stores that seeds choose from; m is what may be bad.
var shapes = [...]struct {
	coding           string
	nodes, operators int
	m                int
}{
	{"2+2", 5, 5, 2},
	{"4+3", 7, 7, 3},
	{"2+1", 4, 4, 1},
	{"1+1", 3, 3, 1},
	{"auto", 6, 6, 2},
	{"2+2", 6, 3, 2},
	{"3+2", 5, 5, 2},
	{"2+2", 4, 2, 2},
}

// NewSetup is the store of a seed.
func NewSetup(seed uint64, beyond bool) Setup {
	d := rand.New(rand.NewPCG(seed, 1))
	shape := shapes[d.IntN(len(shapes))]
	s := Setup{Seed: seed, Coding: shape.coding, Nodes: shape.nodes, Operators: shape.operators, PackSize: 256 << 10,
		Settle: []time.Duration{time.Second, 10 * time.Second, 10 * time.Minute}[d.IntN(3)], Most: 1 << 20, Beyond: beyond}
	if d.IntN(4) == 0 {
		s.DiskCache = 4 << 20
	}
	m := shape.m
	if !beyond && d.IntN(6) == 0 { // packs may then leave the stage with half of their parity
		s.Stage, m = 4<<20, (m+1)/2
	}
	switch d.IntN(40) {
	case 0:
		s.PackSize, s.Most = 4<<20, 8<<20
	case 1:
		s.PackSize, s.Most = 16<<20, 40<<20
	}
	if s.Stage > 0 { // room for a few packs, or nothing could ever leave it
		s.Stage = max(s.Stage, 4*int64(s.PackSize))
	}
	s.Loops = d.IntN(3) == 0
	bad := d.IntN(m + 1)
	if beyond {
		bad = m + 1 + d.IntN(s.Nodes-m)
	}
	if bad > 1 && s.Operators < s.Nodes && !beyond { // those of one operator act together
		op := d.IntN(s.Operators)
		for n := op; n < s.Nodes && len(s.Bad) < bad; n += s.Operators {
			s.Bad = append(s.Bad, n)
		}
	} else {
		s.Bad = d.Perm(s.Nodes)[:bad]
	}
	return s
}
