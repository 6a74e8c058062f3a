package secretfile

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/crypt"
	"github.com/cairn-storage/cairn/pack"
)

const gatewaysHead = "# Every gateway of this store, oldest first: key, delegation, recipient; and of former ones the last of the log that counts.\n"

// GatewaysText is what ParseGateways reads.
func GatewaysText(all []pack.RootGateway) []byte {
	b := []byte(gatewaysHead)
	for _, g := range all {
		b = fmt.Appendf(b, "%x %d %s", g.Key, g.Number, g.Recipient)
		if !g.Until.IsZero() {
			b = fmt.Appendf(b, " until %d %d.%d %x", g.Until.Number, g.Until.Last.Life, g.Until.Last.LSN, g.Until.Seal)
		}
		b = append(b, '\n')
	}
	return b
}

// ParseGateways is the inverse of GatewaysText; ErrCorrupt names the line.
func ParseGateways(text []byte) (all []pack.RootGateway, err error) {
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		g, ok := parseGateway(strings.Split(line, " "))
		if !ok {
			return nil, fmt.Errorf("line %d is no gateway: %w", i+1, cairn.ErrCorrupt)
		}
		all = append(all, g)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no gateway in it: %w", cairn.ErrCorrupt)
	}
	return all, nil
}

func parseGateway(words []string) (g pack.RootGateway, ok bool) {
	if len(words) != 3 && (len(words) != 7 || words[3] != "until") {
		return g, false
	}
	number, err := strconv.ParseUint(words[1], 10, 64)
	_, rerr := crypt.ParseRecipient(words[2])
	if err != nil || rerr != nil || !unhex(g.Key[:], words[0]) {
		return g, false
	}
	g.Number, g.Recipient = number, words[2]
	if len(words) == 3 {
		return g, true
	}
	life, lsn, _ := strings.Cut(words[5], ".")
	last, lerr := strconv.ParseUint(life, 10, 32)
	g.Until.Last.Life = uint32(last)
	if g.Until.Last.LSN, err = strconv.ParseUint(lsn, 10, 64); err != nil || lerr != nil {
		return g, false
	}
	g.Until.Number, err = strconv.ParseUint(words[4], 10, 64)
	return g, err == nil && unhex(g.Until.Seal[:], words[6])
}

// unhex fills b from just as many digits.
func unhex(b []byte, text string) bool {
	if len(text) != 2*len(b) || strings.ToLower(text) != text {
		return false
	}
	_, err := hex.Decode(b, []byte(text))
	return err == nil
}
