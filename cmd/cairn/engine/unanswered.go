package engine

import (
	"fmt"
	"time"
)

// Unanswered is what has not answered whoever asked for the status.
type Unanswered struct {
	What string // a call of this machine's disk, or what By says
	Took time.Duration
	By   Asked
}

// Asked is who was asked.
type Asked int

// Who may be asked for the status.
const (
	Disk    Asked = iota // of this machine
	Gateway              // that listens at the socket What
	Holder               // of the store's lock: another cairn has What open
)

// Status is that of a store of which nothing could be learned.
func (u Unanswered) Status() Status {
	s := Status{Silent: u.Took.Seconds(), Hangs: u.What, Nodes: []NodeState{}}
	judge(&s, 0)
	s.Recoverable.Forks, s.Recoverable.Back, s.Recoverable.Advice = []string{}, []string{}, []string{} // encode as [] and not as null
	switch u.By {
	case Gateway:
		s.Summary = "the gateway does not answer: how the packs stand is not known"
		s.Wrong[0] = fmt.Sprintf("the gateway took the question at %s and has not answered for %s: it begins or ends, or this machine's disk hangs", u.What, since(s.Silent))
	case Holder:
		s.State, s.Summary = Degraded, "another cairn has the store open and is no gateway: how the packs stand is not known"
		s.Wrong[0] = fmt.Sprintf("%s has been in use for %s: another verb is at work on it, or hangs over this machine's disk", u.What, since(s.Silent))
		s.Do[0] = Todo{"", "wait until the other verb has ended (ps shows it), or start `cairn serve`: verbs share a store that a gateway has open"}
	}
	return s
}
