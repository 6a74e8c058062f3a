// Package spoken reads what a person says to the demo: lines of commands. It
// knows nothing of the demo itself, so that it can be fuzzed.
package spoken

import (
	"fmt"
	"strconv"
	"strings"
)

// Usage names the commands.
const Usage = "load [N], verify, kill N, lie N [percent], slow N ms, lose N, revive N, flush, status, help, quit"

const (
	defaultLoad = 2000 // objects
	mostLoad    = 1_000_000
	mostSlow    = 60_000 // ms
)

// Command is one command, checked.
type Command struct {
	Verb string
	Text string // as it was said
	Node int    // 1 to the number of nodes; 0 where the verb names none
	N    int    // of load: objects; of lie: percent; of slow: ms
}

// Split cuts a line into commands, which are not empty.
func Split(line string) []string {
	var out []string
	for _, c := range strings.Split(line, ";") {
		if words := strings.Fields(c); len(words) > 0 {
			out = append(out, strings.Join(words, " "))
		}
	}
	return out
}

// Parse reads one command for a demo of so many nodes. An error is one line
// for whoever said it.
func Parse(text string, nodes int) (Command, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		words = []string{""}
	}
	c := Command{Verb: words[0], Text: text}
	args := words[1:]
	bad := func(format string, a ...any) error {
		return fmt.Errorf(format+"; the commands are: %s", append(a, Usage)...)
	}
	number := func(what string, least, most int) (int, error) {
		if len(args) == 0 {
			return 0, bad("%s needs %s, %d to %d", c.Verb, what, least, most)
		}
		n, err := strconv.Atoi(args[0])
		if err != nil || n < least || n > most {
			return 0, bad("%s: %s is %d to %d, not %q", c.Verb, what, least, most, args[0])
		}
		args = args[1:]
		return n, nil
	}
	var err error
	switch c.Verb {
	case "verify", "flush", "status", "help", "quit":
	case "load":
		c.N = defaultLoad
		if len(args) > 0 {
			c.N, err = number("the number of objects", 1, mostLoad)
		}
	case "kill", "lose", "revive", "lie", "slow":
		if c.Node, err = number("the node", 1, nodes); err != nil {
			break
		}
		switch {
		case c.Verb == "slow":
			c.N, err = number("the delay in ms", 0, mostSlow)
		case c.Verb == "lie" && len(args) == 0:
			c.N = 100
		case c.Verb == "lie":
			c.N, err = number("the percentage", 0, 100)
		}
	default:
		return c, bad("no command %q", c.Verb)
	}
	if err == nil && len(args) > 0 {
		err = bad("%s: %q is too much", c.Verb, args[0])
	}
	return c, err
}
