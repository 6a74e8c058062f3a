package demo

import (
	"fmt"
	"strconv"
	"strings"
)

// usage names the commands.
const usage = "load [N], verify, kill N, lie N [percent], slow N ms, revive N, flush, status, help, quit"

const (
	defaultLoad = 2000 // objects
	mostLoad    = 1_000_000
	mostSlow    = 60_000 // ms
)

// command is one command, checked.
type command struct {
	verb string
	text string // as it was said
	node int    // 1 to the number of nodes; 0 where the verb names none
	n    int    // of load: objects; of lie: percent; of slow: ms
}

// split cuts a line into commands.
func split(line string) []string {
	var out []string
	for _, c := range strings.Split(line, ";") {
		if words := strings.Fields(c); len(words) > 0 {
			out = append(out, strings.Join(words, " "))
		}
	}
	return out
}

// parse reads one command for a demo of so many nodes. An error is one line
// for whoever said it.
func parse(text string, nodes int) (command, error) {
	words := strings.Fields(text)
	c := command{verb: words[0], text: text}
	args := words[1:]
	bad := func(format string, a ...any) error {
		return fmt.Errorf(format+"; the commands are: %s", append(a, usage)...)
	}
	number := func(what string, least, most int) (int, error) {
		if len(args) == 0 {
			return 0, bad("%s needs %s, %d to %d", c.verb, what, least, most)
		}
		n, err := strconv.Atoi(args[0])
		if err != nil || n < least || n > most {
			return 0, bad("%s: %s is %d to %d, not %q", c.verb, what, least, most, args[0])
		}
		args = args[1:]
		return n, nil
	}
	var err error
	switch c.verb {
	case "verify", "flush", "status", "help", "quit":
	case "load":
		c.n = defaultLoad
		if len(args) > 0 {
			c.n, err = number("the number of objects", 1, mostLoad)
		}
	case "kill", "revive", "lie", "slow":
		if c.node, err = number("the node", 1, nodes); err != nil {
			break
		}
		switch {
		case c.verb == "slow":
			c.n, err = number("the delay in ms", 0, mostSlow)
		case c.verb == "lie" && len(args) == 0:
			c.n = 100
		case c.verb == "lie":
			c.n, err = number("the percentage", 0, 100)
		}
	default:
		return c, bad("no command %q", c.verb)
	}
	if err == nil && len(args) > 0 {
		err = bad("%s: %q is too much", c.verb, args[0])
	}
	return c, err
}
