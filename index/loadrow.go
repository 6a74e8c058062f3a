package index

import (
	"encoding/binary"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/internal/wire"
	"github.com/cairn-storage/cairn/pack"
)

// row takes the row that is to stand at key, whose bytes are its own only until
// it returns. It is strict: what it takes, a snapshot gives again to the byte.
// What rows say of each other it believes, since one writer sealed them all.
func (l *loader) row(key, value []byte) error {
	var err error
	switch l.kind {
	case kindFloor:
		err = fits(key, value, len(floorKey), stampSize)
	case kindApplied:
		err = fits(key, value, 1+4, 8)
	case kindLife:
		if err = fits(key, value, 1+4+16, 2*stampSize); err == nil && binary.BigEndian.Uint32(key[1:]) != stampAt(value[stampSize:]).Life {
			err = badRow(key)
		}
	case kindVoid:
		err = fits(key, value, 1+2*stampSize, 0)
	case kindRegister:
		err = checkRegister(key, value)
	case kindCarried:
		err = checkCarried(key, value)
	case kindPack:
		err = checkPack(key, value)
	case kindRetired:
		if err = fits(key, value, 1+16, len(value)); err == nil && (len(value) == 0 || len(value)%stampSize != 0) {
			err = badRow(key)
		}
	case kindExtents:
		if err = checkLong(key, stampSize+4); err == nil && (len(value) == 0 || len(value) > extentsRow) {
			err = badRow(key)
		}
	case kindObject:
		return l.object(key, value)
	case kindShadow:
		err = checkShadow(key, value)
	case kindHistory:
		err = checkHistory(key, value)
	case kindEnd:
		return l.ended(key, value)
	case kindUpload:
		return l.began(key, value)
	case kindPart:
		return l.part(key, value)
	case kindPast:
		return l.past(key, value)
	}
	if err != nil {
		return err
	}
	return l.set(key, value)
}

// object takes the current version of an object, with the references and the
// totals that follow.
func (l *loader) object(key, value []byte) error {
	k, err := checkPlain(key)
	if err != nil {
		return err
	}
	f, err := parseLiveRow(key, value)
	if err != nil {
		return err
	}
	size, err := checkFact(key, k, f)
	if err != nil {
		return err
	}
	if !shortest(f.head, f.where, len(value)-2*stampSize) {
		return badRow(key)
	}
	parts, list, err := decodeWhere(l.x.db, k, f.record, f.where)
	if err != nil {
		return err
	}
	if sumOf(parts) != size {
		return badRow(key)
	}
	if err := l.set(key, value); err != nil {
		return err
	}
	c := l.counts[k.bucket]
	l.counts[k.bucket] = Count{c.Objects + 1, c.Bytes + size}
	return l.refer(packsOf(parts, list), f.version, refRow(k, f))
}

func (l *loader) refer(packs []cairn.PackID, version cairn.Stamp, row []byte) error {
	for _, id := range packs {
		if err := l.set(refKey(id, version), row); err != nil {
			return err
		}
	}
	return nil
}

func sumOf(parts []pack.Part) (n uint64) {
	for _, p := range parts {
		n += p.Size
	}
	return n
}

// fits checks sizes.
func fits(key, value []byte, k, v int) error {
	if len(key) != k || len(value) != v {
		return badRow(key)
	}
	return nil
}

func checkRegister(key, value []byte) error {
	rec, err := pack.ParseRecord(value)
	if err != nil {
		return err
	}
	id, ok := registerOf(rec.Body)
	if !ok || string(key) != string(registerKey(id.family, id.id, rec.Stamp)) {
		return badRow(key)
	}
	return nil
}

func checkCarried(key, value []byte) error {
	rec, err := pack.ParseRecord(value)
	if err != nil {
		return err
	}
	if u, ok := rec.Body.(pack.Unknown); !ok || u.Critical || string(key) != string(stampKey(tableCarried, rec.Stamp)) {
		return badRow(key)
	}
	return nil
}

func checkPack(key, value []byte) error {
	if len(key) != 1+16 {
		return badRow(key)
	}
	p, err := parsePackRow(cairn.PackID(key[1:]), value)
	if err != nil {
		return err
	}
	if c := p.Params.Coding; p.Params.ID == (cairn.PackID{}) || p.State > Retired || c.K > cairn.MaxShards || c.M > cairn.MaxShards {
		return fmt.Errorf("row of pack %v, coding %v, state %d: %w", p.Params.ID, c, p.State, cairn.ErrCorrupt)
	}
	return nil
}

// checkPlain checks a key of tableLive or tableShadow.
func checkPlain(key []byte) (objectKey, error) {
	k, err := parsePlainKey(key)
	if err == nil && checkKey(k) != nil {
		err = badRow(key)
	}
	return k, err
}

// checkLong checks a key that longKey begins and tail bytes end.
func checkLong(key []byte, tail int) error {
	if len(key) < 11 {
		return badRow(key)
	}
	if n := int(binary.BigEndian.Uint16(key[9:])); n == 0 || n > cairn.MaxKeyLength || len(key) != 11+n+tail {
		return badRow(key)
	}
	return nil
}

func checkShadow(key, value []byte) error {
	if _, err := checkPlain(key); err != nil {
		return err
	}
	sh, err := parseShadow(key, value)
	if err == nil && sh == (shadow{}) {
		err = badRow(key)
	}
	return err
}

func checkHistory(key, value []byte) error {
	if err := checkLong(key, 2*stampSize); err != nil {
		return err
	}
	f, err := parseHistoryRow(key, value)
	if err != nil || f.kind == tombstone {
		return err
	}
	if !shortest(f.head, f.where, len(value)-1) || f.kind == move && len(f.head) > 0 {
		return badRow(key)
	}
	if _, err := checkFact(key, objectKey{}, f); err != nil {
		return err
	}
	return checkInline(f.where)
}

// shortest tells whether head, with its length before it, and where take size
// bytes: the length has its shortest form.
func shortest(head, where []byte, size int) bool {
	var b [binary.MaxVarintLen64]byte
	return binary.PutUvarint(b[:], uint64(len(head)))+len(head)+len(where) == size
}

// checkFact checks head and where of f, and returns the size of a put.
func checkFact(key []byte, k objectKey, f *fact) (size uint64, err error) {
	if f.kind == put {
		p, err := decodeHead(k, f.head)
		if err != nil {
			return 0, err
		}
		size = p.Size
	}
	return size, checkWhere(key, f.where)
}

// checkWhere checks a where but for its parts.
func checkWhere(key, where []byte) error {
	r := wire.NewReader(where)
	flags := r.U8()
	if flags&^(hasList|apart) != 0 {
		return badRow(key)
	}
	if flags&hasList != 0 {
		l, err := pack.ParseParts(r.Bytes(maxField))
		if r.Err() != nil || err != nil || len(l) != 1 {
			return badRow(key)
		}
	}
	if flags&apart != 0 {
		if r.Uvarint(1<<40) <= pack.InlineExtents || r.Done() != nil {
			return badRow(key)
		}
		return nil
	}
	if r.Err() != nil || r.Len() > pack.InlineExtents {
		return badRow(key)
	}
	return nil
}

// checkInline checks the parts of a where that is good besides, if they stand in
// it.
func checkInline(where []byte) error {
	if isApart(where) {
		return nil
	}
	r := wire.NewReader(where)
	if r.U8()&hasList != 0 {
		_ = r.Bytes(maxField)
	}
	_, err := pack.ParseParts(where[len(where)-r.Len():])
	return err
}
