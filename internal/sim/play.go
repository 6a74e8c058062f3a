package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// Do carries out one step and says in a word what became of it. The error is a
// broken promise.
func (w *World) Do(s Step) (said string, err error) {
	err = w.do(s, &said)
	if err != nil {
		return said, err
	}
	w.rest(0)
	if w.disk.dead() {
		if err := w.crash(); err != nil {
			return said, fmt.Errorf("after a power loss: %w", err)
		}
		said += ", power lost"
	}
	return said, nil
}

func (w *World) do(s Step, said *string) error {
	say := func(err error) { *said = cairn.ClassName(err) }
	switch s.Do {
	case Put:
		return w.put(s, say)
	case Copy:
		return w.copy(s, say)
	case Delete:
		return w.delete(s, say)
	case Get:
		return w.get(s.Key, s.Content, say)
	case List:
		return w.list(s.N, s.Content, say)
	case MakeBucket, DropBucket, Publish:
		return w.bucket(s, say)
	case Grant, Revoke:
		return w.access(s, say)
	case CreateUpload, PutPart, Complete, Abort:
		return w.multipart(s, say)
	case Flush:
		return w.flush(say)
	case Pass:
		return w.pass(s.For)
	case Ail:
		return w.ail(s, said)
	case Heal:
		w.heal(s.Node)
		return nil
	case Break:
		w.ill = true
		w.breakDisk(s.Fault, s.N)
		return nil
	case Full:
		w.ill = true
		return w.disk.fill(s.Size)
	case Mend:
		w.disk.mend()
		return nil
	case Light:
		w.disk.light(s.Fuse)
		return nil
	case Pull:
		w.disk.pull(s.Percent)
		return nil
	case Restart:
		for range s.N {
			if err := w.restart(nil); err != nil {
				return err
			}
		}
		return nil
	case Off:
		return w.restart(func() error { w.rest(s.For); return nil })
	case LoseIndex:
		if w.Beyond {
			return nil // it may not come back, and says so
		}
		return w.loseIndex(s.N)
	case Burn:
		return w.burn(s.Node)
	case Second:
		return w.second()
	case Check:
		return w.check()
	case Scrub, Repair, Drain, Rebalance, Compact, Collect:
		return w.maintain(s, say)
	}
	return fmt.Errorf("no such step: %v", s)
}

// restart ends the life of the gateway in order, does between, and begins the
// next.
func (w *World) restart(between func() error) error {
	ill := w.ill
	if err := w.close(); err != nil && !ill {
		return fmt.Errorf("close: %w", err)
	}
	w.disk.restore()
	if between != nil {
		if err := between(); err != nil {
			return err
		}
	}
	return w.start()
}

// crash is what follows a power loss.
func (w *World) crash() error {
	if err := w.close(); err != nil {
		return fmt.Errorf("close without power: %w", err)
	}
	w.disk.restore()
	if err := w.start(); err != nil {
		return err
	}
	return w.check()
}

// startTries is how often a gateway is started that says it cannot start now.
const startTries = 10

// start begins a life, however often the power goes meanwhile, as it does again
// soon after some starts. Only a disk that fails, or too many nodes that are bad,
// may keep the gateway from starting; a bad one that does not show what it lists
// may for so many tries, a minute apart.
func (w *World) start() error {
	for tries := 1; ; {
		if h := hash(w.Seed, "again", w.lives); !w.calm && h%6 == 0 {
			w.disk.lightAnother(Fuse{Index: h>>8%4 == 0, At: 1 + int(h>>16%12), How: How(h >> 24 % 3), Percent: []int{0, 50, 100}[h>>32%3]})
		}
		err := w.open()
		switch {
		case w.disk.dead():
			if err == nil {
				if err := w.close(); err != nil {
					return err
				}
			}
			w.disk.restore()
			continue
		case err == nil:
			w.ill = w.disk.ill()
			w.model.restarted()
			return nil
		case w.disk.ill() || w.ill:
			w.disk.mend()
			w.ill = false
			continue
		case errors.Is(err, cairn.ErrUnavailable) && len(w.silent) > 0:
			w.loud()
			continue
		case errors.Is(err, cairn.ErrUnavailable) && tries < startTries:
			// It says which node does not show what it lists, as it may be the last
			// that has it; whatever looks after the process starts it again.
			tries++
			w.rest(time.Minute)
			continue
		}
		return fmt.Errorf("open, %d tries: %w", tries, err)
	}
}

// second starts another gateway on the same directory, by mistake.
func (w *World) second() error {
	st, err := store.Open(w.ctx, w.config(w.disk.fs(nil), w.life.fl))
	w.disk.fs(w.life.over)
	if err == nil {
		return errors.Join(errors.New("two gateways run on one directory"), st.Close(w.ctx))
	}
	if !errors.Is(err, cairn.ErrUnavailable) && !w.ill && !w.disk.dead() {
		return fmt.Errorf("a second gateway is refused, but not for the lock: %w", err)
	}
	return nil
}

// excused reports whether the disk of the gateway is to blame for an error of
// a class that says so.
func (w *World) excused(err error) bool {
	return w.disk.dead() || w.ill && (errors.Is(err, cairn.ErrUnavailable) || errors.Is(err, cairn.ErrFull) || errors.Is(err, cairn.ErrSlowDown))
}

// judge is the outcome of a write that answered err: what it means for the
// model, or that it may not be.
func (w *World) judge(what string, err error) (outcome, error) {
	switch {
	case err == nil && w.disk.dead():
		// Nothing is acknowledged after the power went: an answer that was
		// given was given before.
		return acked, nil
	case err == nil:
		return acked, nil
	case w.Stage > 0 && errors.Is(err, cairn.ErrSlowDown):
		return refused, nil
	case !w.excused(err):
		return refused, fmt.Errorf("%s: nothing is wrong with this machine, and it fails: %w", what, err)
	case errors.Is(err, cairn.ErrFull) && !w.disk.dead():
		return refused, nil
	}
	return unknown, nil
}

// pass lets time go by, and clean nodes recover before anybody counts them out.
func (w *World) pass(d time.Duration) error {
	if !w.since.IsZero() && time.Since(w.since)+d > cleanMost {
		w.relieve()
	}
	w.rest(d)
	return nil
}
