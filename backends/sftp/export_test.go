package sftp

import "time"

// WithDrain shortens the time that an abandoned call may keep its link.
func (c Config) WithDrain(d time.Duration) Config {
	c.drain = d
	return c
}
