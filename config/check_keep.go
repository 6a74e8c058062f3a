package config

import (
	"errors"
	"path/filepath"
	"strings"
	"time"
)

// checkKit refuses a kit that would be lost with what it brings back.
func (c Config) checkKit() error {
	if c.Kit == "" {
		return nil
	}
	if err := secretPath(c.Kit); err != nil {
		return err
	}
	if strings.HasPrefix(filepath.Clean(c.Kit), filepath.Clean(c.Dir)+string(filepath.Separator)) {
		return invalid("%s lies below dir, and would be lost with it: put it where it is backed up", c.Kit)
	}
	return nil
}

// check returns ErrInvalid with one line for each key that cannot work; above
// are the tables that stand before it.
func (k Keep) check(above []Keep) error {
	var errs []error
	add := func(key string, err error) { errs = append(errs, within(key, err)...) }
	if !nodeName.MatchString(k.Name) {
		add("name", invalid("%q: use 1 to 63 of a-z, 0-9 and hyphens", k.Name))
	}
	for _, other := range above {
		if other.Name == k.Name && k.Name != "" {
			errs = append(errs, invalid("two tables have this name"))
			break
		}
	}
	switch {
	case len(k.Command) > 0 && k.File != "":
		errs = append(errs, invalid("command and file are both there: keep one"))
	case len(k.Command) == 0 && k.File == "":
		errs = append(errs, invalid("write command = [\"PROGRAM\", \"ARGUMENT\"], or file = \"/PATH\""))
	case k.File != "":
		add("file", absolute(k.File))
	case k.Command[0] == "":
		add("command", invalid("the program is missing"))
	}
	add("every", between(k.Every, Duration(time.Minute), Duration(90*day)))
	if k.Keep < 1 || k.Keep > 1000 {
		add("keep", invalid("%d: from 1 to 1000 is possible", k.Keep))
	}
	return errors.Join(errs...)
}
