package index

import (
	"github.com/cairn-storage/cairn/pack"
)

// A row kind is the first byte of a key in a checkpoint. Kinds and the layout
// behind them are a format (doc/format.md, "Rows of a checkpoint"), where the
// tables are not: a table may change with rowsVersion, a kind never does, a new
// layout is a new kind. They rise such that Load finds what a row depends on
// before the row.
const (
	kindGeneration = 1  // -> the last generation in it
	kindFloor      = 2  // -> stamp, see DropTombstones
	kindApplied    = 3  // life -> highest LSN applied
	kindLife       = 4  // life, tag -> last, stamp
	kindVoid       = 5  // stamp taken back, stamp of the void -> nothing
	kindRegister   = 6  // family, id, stamp -> record
	kindCarried    = 7  // stamp -> record of an unknown kind
	kindPack       = 8  // pack -> PackRow
	kindRetired    = 9  // pack -> stamps of retired records
	kindExtents    = 10 // bucket, object key, record, number -> a slice of long parts
	kindObject     = 11 // bucket, object key -> current version
	kindShadow     = 12 // bucket, object key -> what is known of it besides
	kindHistory    = 13 // bucket, object key, version, record -> displaced version
	kindEnd        = 14 // upload, stamp -> what it became
	kindUpload     = 15 // upload, stamp -> the record that began it
	kindPart       = 16 // upload, number -> current part
	kindPast       = 17 // upload, number, stamp -> displaced part
)

// carrier is how a kind is kept here: the key behind the kind stands behind
// prefix, and the value behind skip bytes that follow from other rows.
type carrier struct {
	kind   byte
	prefix string
	skip   int
}

// carriers returns every kind but kindGeneration, rising. What is not among
// them is made anew from them: references, totals, lists of uploads.
func carriers() []carrier {
	return []carrier{
		{kindFloor, floorKey, 0},
		{kindApplied, string(rune(tableApplied)), 0},
		{kindLife, string(rune(tableLife)), 0},
		{kindVoid, string(rune(tableVoid)), 0},
		{kindRegister, string(rune(tableRegister)), 0},
		{kindCarried, string(rune(tableCarried)), 0},
		{kindPack, string(rune(tablePack)), 0},
		{kindRetired, string(rune(tableRetired)), 0},
		{kindExtents, string(rune(tableExtents)), 0},
		{kindObject, string(rune(tableLive)), 0},
		{kindShadow, string(rune(tableShadow)), 0},
		{kindHistory, string(rune(tableHistory)), 0},
		{kindEnd, string(rune(tableEnd)), 1},
		{kindUpload, string(rune(tableUpload)), 1},
		{kindPart, string(rune(tablePart)), 0},
		{kindPast, string(rune(tablePast)), 0},
	}
}

// isCarried tells whether the row at key is one that a checkpoint carries.
func isCarried(key []byte) bool {
	switch key[0] {
	case tableMeta:
		return string(key) == floorKey
	case tableApplied, tableLife, tableVoid, tableRegister, tableCarried, tablePack, tableRetired,
		tableExtents, tableLive, tableShadow, tableHistory, tableEnd, tableUpload, tablePart, tablePast:
		return true
	}
	return false
}

// row is the row at key as a checkpoint has it, its key made in buf.
func (c carrier) row(buf, key, value []byte) (pack.Row, error) {
	if len(value) < c.skip {
		return pack.Row{}, badRow(key)
	}
	return pack.Row{Key: append(append(buf[:0], c.kind), key[len(c.prefix):]...), Value: value[c.skip:]}, nil
}
