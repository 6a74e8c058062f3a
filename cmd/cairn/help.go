package main

import (
	"fmt"
	"strings"

	"github.com/cairn-storage/cairn"
)

const commonFlags = `
Every verb takes
  --config FILE   settings of this machine (/etc/cairn/cairn.toml, else ./cairn.toml)
  --dir DIR       state directory, in place of dir in cairn.toml
  --json          output for programs
  --log LEVEL     debug, info, warn or error to stderr (serve: info, others: off)
`

// overview is `cairn help`.
func overview() string {
	var b strings.Builder
	b.WriteString("cairn: an S3 endpoint whose bytes live on storage that nobody has to trust.\n\n")
	for _, v := range verbs() {
		fmt.Fprintf(&b, "  %-15s %s\n", v.name, v.short)
	}
	b.WriteString("\n`cairn help VERB` has flags and an example for each.\n" + commonFlags)
	b.WriteString(`
Exit status (status --check has its own): 0 done, 1 a bug, 2 invalid, 3 not as things stand,
  4 not there, 5 corrupt, 6 not available now, 7 full, 8 denied, 9 lost, 10 fork, 130 interrupted.
`)
	return b.String()
}

// help is the verb's own page.
func (v verb) help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cairn %s", v.name)
	if v.args != "" {
		fmt.Fprintf(&b, " %s", v.args)
	}
	fmt.Fprintf(&b, ": %s\n", v.short)
	if v.usage != "" {
		fmt.Fprintf(&b, "\n%s\n", strings.Trim(v.usage, "\n"))
	}
	fmt.Fprintf(&b, "\nFor example\n  %s\n%s", strings.ReplaceAll(strings.Trim(v.try, "\n"), "\n", "\n  "), commonFlags)
	return b.String()
}

// help prints the overview, or the pages of one verb or one group.
func help(e *env, args []string) error {
	name := strings.Join(args, " ")
	if name == "" {
		e.printf("%s", overview())
		return nil
	}
	found := false
	for _, v := range verbs() {
		if v.name == name || strings.HasPrefix(v.name, name+" ") {
			if found {
				e.printf("\n\n")
			}
			e.printf("%s", v.help())
			found = true
		}
	}
	if !found {
		return fmt.Errorf("%q is no verb of cairn; `cairn help` lists them: %w", name, cairn.ErrInvalid)
	}
	return nil
}
