package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// Op is one call of one client upon one key, as the client saw it. A copy is
// two: a read of the one key and a write of the other.
type Op struct {
	Client  int
	Key     int
	Write   bool
	Cond    Cond
	Want    string   // the ETag of IfMatch
	Value   string   // written or read; empty for nothing
	Any     []string // what a copy without an answer may have written
	Refused bool     // for its condition
	Unknown bool     // done, or not, until Return
	Call    int64    // in the order of a common clock
	Return  int64
}

// Holds reports whether a value fulfils the condition.
func (o Op) Holds(v string) bool {
	switch o.Cond {
	case IfNone:
		return v == ""
	case IfMatch:
		return v == o.Want
	case IfOther:
		return false
	}
	return true
}

// crowd is clients that work at the same time on few keys of the first bucket.
type crowd struct {
	w     *World
	clock atomic.Int64

	mu   sync.Mutex
	ops  []Op           // guarded by mu
	last map[int]string // the newest ETag anybody got, by key; guarded by mu
	errs []error        // guarded by mu
	tags map[int][]string
}

const crowdKeys = 3

// Crowd lets width clients make calls in rounds, while nodes are ill and the
// power goes, and returns what each saw. After every power loss the clients go
// on in the next life; at the end every key is read once more.
func (w *World) Crowd(width, rounds, calls int) ([]Op, error) {
	c := &crowd{w: w, last: make(map[int]string), tags: make(map[int][]string)}
	d := rand.New(rand.NewPCG(w.Seed, 3))
	for round := range rounds {
		plans := make([][]Step, width)
		for i := range plans {
			for range calls {
				s := Step{Do: []Verb{Put, Put, Put, Delete, Get, Get, Copy}[d.IntN(7)], Key: d.IntN(crowdKeys), From: d.IntN(crowdKeys), Content: d.Uint64(), Size: 1 + d.Int64N(3000)}
				if d.IntN(3) == 0 {
					s.Cond = Cond(1 + d.IntN(2))
				}
				if d.IntN(20) == 0 {
					s.Size = d.Int64N(300 << 10)
				}
				if s.Do == Put {
					c.tags[s.Key] = append(c.tags[s.Key], string(w.model.body(seg{s.Content, s.Size})))
				}
				plans[i] = append(plans[i], s)
			}
		}
		if d.IntN(2) == 0 {
			w.disk.light(Fuse{Index: d.IntN(5) == 0, At: 1 + d.IntN(30), How: How(d.IntN(3)), Percent: []int{0, 50, 100}[d.IntN(3)]})
		}
		if len(w.Bad) > 0 && d.IntN(2) == 0 {
			w.nodes[w.Bad[d.IntN(len(w.Bad))]].Ail(Ill(1+d.IntN(int(illEnd)-1)), 0.5)
		}
		if err := c.round(round, plans); err != nil {
			return c.ops, err
		}
	}
	for key := range crowdKeys {
		c.get(0, Step{Key: key})
	}
	return c.ops, errors.Join(append(c.errs, w.close())...)
}

// round lets all clients work until each is done or the power is gone.
func (c *crowd) round(round int, plans [][]Step) error {
	began := len(c.ops)
	var wg sync.WaitGroup
	for i, plan := range plans {
		wg.Go(func() {
			for _, s := range plan {
				if c.w.disk.dead() {
					return
				}
				c.call(round*len(plans)+i, s)
			}
		})
	}
	wg.Wait()
	if !c.w.disk.dead() {
		return errors.Join(c.errs...)
	}
	if err := c.w.close(); err != nil {
		return err
	}
	c.w.disk.restore()
	if err := c.w.start(); err != nil {
		return err
	}
	// By now it is decided what became of the calls without an answer.
	now := c.clock.Add(1)
	for i := range c.ops[began:] {
		if o := &c.ops[began+i]; o.Unknown {
			o.Return = now
		}
	}
	return errors.Join(c.errs...)
}

func (c *crowd) call(client int, s Step) {
	switch s.Do {
	case Get:
		c.get(client, s)
	case Copy:
		c.copy(client, s)
	default:
		c.write(client, s)
	}
}

// note adds calls to the history.
func (c *crowd) note(ops ...Op) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, o := range ops {
		if !o.Unknown && !o.Refused {
			c.last[o.Key] = o.Value
		}
		c.ops = append(c.ops, o)
	}
}

func (c *crowd) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs = append(c.errs, err)
}

func (c *crowd) newest(key int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last[key]
}

func (c *crowd) get(client int, s Step) {
	o := Op{Client: client, Key: s.Key, Call: c.clock.Add(1)}
	got, src, err := c.w.life.st.Open(c.w.ctx, keyOf(s.Key))
	o.Return = c.clock.Add(1)
	switch {
	case err == nil:
		defer src.Close()
		o.Value = got.ETag
		if err := c.w.readRange(src, value(got.ETag), 0, got.Size); err != nil && !c.w.disk.dead() {
			c.fail(fmt.Errorf("get of key %d: %w", s.Key, err))
		}
	case !errors.Is(err, cairn.ErrNotExist):
		if !c.w.disk.dead() {
			c.fail(fmt.Errorf("get of key %d: %w", s.Key, err))
		}
		return
	}
	c.note(o)
}

// write puts or deletes.
func (c *crowd) write(client int, s Step) {
	o := Op{Client: client, Key: s.Key, Write: true, Cond: s.Cond}
	var cond store.Condition
	switch s.Cond {
	case IfNone:
		cond.NoneMatch = []string{"*"}
	case IfMatch:
		if o.Want = c.newest(s.Key); o.Want == "" {
			o.Want = noTag
		}
		cond.Match = []string{o.Want}
	}
	o.Call = c.clock.Add(1)
	var err error
	if s.Do == Delete {
		err = c.w.life.st.Delete(c.w.ctx, keyOf(s.Key), cond)
	} else {
		v := value(fmt.Sprintf("%016x-%d", s.Content, s.Size))
		o.Value = string(v)
		_, err = c.w.life.st.Put(c.w.ctx, store.Put{Key: keyOf(s.Key), Body: &body{content: s.Content, size: s.Size}, Size: s.Size, Digest: digest(v), If: cond})
	}
	o.Return = c.clock.Add(1)
	if !c.answered(&o, err) {
		return
	}
	c.note(o)
}

// answered sets what an error means; false where it is a broken promise.
func (c *crowd) answered(o *Op, err error) bool {
	switch {
	case err == nil:
	case errors.Is(err, cairn.ErrPrecondition), errors.Is(err, cairn.ErrNotExist): // the latter: nothing is there to match
		o.Refused = true
	case c.w.disk.dead():
		o.Unknown = true
	default:
		c.fail(fmt.Errorf("write of key %d: %w", o.Key, err))
		return false
	}
	return true
}

func (c *crowd) copy(client int, s Step) {
	o := Op{Client: client, Key: s.Key, Write: true, Call: c.clock.Add(1)}
	got, err := c.w.life.st.Copy(c.w.ctx, store.Copy{From: keyOf(s.From), To: keyOf(s.Key)})
	o.Return = c.clock.Add(1)
	from := Op{Client: client, Key: s.From, Call: o.Call, Return: o.Return}
	switch {
	case err == nil:
		from.Value, o.Value = got.ETag, got.ETag
		c.note(from, o)
	case errors.Is(err, cairn.ErrNotExist):
		c.note(from)
	case c.answered(&o, err):
		for _, tags := range c.tags { // copies of copies included
			o.Any = append(o.Any, tags...)
		}
		o.Any = slices.Clone(o.Any)
		c.note(o)
	}
}
