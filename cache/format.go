package cache

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cairn-storage/cairn"
	"github.com/zeebo/blake3"
)

// The file, integers big-endian. It is private to one gateway and one version:
// a change is a new version, and files of the old one are begun anew.
//
//	offset  bytes
//	0       4,096   head: magic 8 · version 4 · zero 4 · store id 16 ·
//	                check of the key 32 · BLAKE3 of the 64 bytes before 32 · zero
//	4,096   groups  each a table of 1,024 entries of 64 bytes, then their 1,024
//	                slots of 65,536 bytes; the last group may be cut short
//
//	entry: pack id 16 · block 4 · length-1 2 · index 1 · flags 1 · stamp 8 ·
//	       keyed BLAKE3 of store, key, length and bytes 32
//
// The tables are apart from the slots so that a start reads one thousandth of
// the file. Entry and slot are written one after the other and never synced;
// where they do not belong together the keyed hash says so.
const (
	fileName    = "blocks"
	fileMagic   = "cairnblk"
	fileVersion = 1

	headSize   = 4096
	headUsed   = 96
	entrySize  = 64
	groupSlots = 1024
	tableSize  = groupSlots * entrySize
	groupSize  = tableSize + groupSlots*BlockSize

	flagUsed     = 1
	flagFrequent = 2
)

// slotsIn is how many slots a file of at most size bytes has.
func slotsIn(size int64) uint32 {
	size = max(size-headSize, 0)
	slots := size / groupSize * groupSlots
	slots += max(size%groupSize-tableSize, 0) / BlockSize
	return uint32(min(slots, 1<<31))
}

func entryOffset(slot uint32) int64 {
	return headSize + int64(slot/groupSlots)*groupSize + int64(slot%groupSlots)*entrySize
}

func slotOffset(slot uint32) int64 {
	return headSize + int64(slot/groupSlots)*groupSize + tableSize + int64(slot%groupSlots)*BlockSize
}

// location is where a block lies and what its bytes must hash to.
type location struct {
	slot   uint32
	length uint32
	sum    [32]byte
}

// saved is one entry.
type saved struct {
	key      Key
	at       location
	stamp    uint64 // order of arrival
	frequent bool
}

func (s saved) encode() []byte {
	b := make([]byte, 0, entrySize)
	b = append(b, s.key.Pack[:]...)
	b = binary.BigEndian.AppendUint32(b, s.key.Block)
	b = binary.BigEndian.AppendUint16(b, uint16(s.at.length-1))
	flags := byte(flagUsed)
	if s.frequent {
		flags |= flagFrequent
	}
	b = append(b, s.key.Index, flags)
	b = binary.BigEndian.AppendUint64(b, s.stamp)
	return append(b, s.at.sum[:]...)
}

// decodeEntry reads the entry of slot; false when it is of no block. Nothing
// in it is to be trusted before the bytes match the sum.
func decodeEntry(b []byte, slot uint32) (s saved, ok bool) {
	if len(b) < entrySize || b[23]&flagUsed == 0 {
		return saved{}, false
	}
	copy(s.key.Pack[:], b)
	s.key.Block = binary.BigEndian.Uint32(b[16:])
	s.key.Index = b[22]
	s.at.slot = slot
	s.at.length = uint32(binary.BigEndian.Uint16(b[20:])) + 1
	s.stamp = binary.BigEndian.Uint64(b[24:])
	s.frequent = b[23]&flagFrequent != 0
	copy(s.at.sum[:], b[32:])
	return s, true
}

// sumBlock is the keyed hash of a block: h is keyed, and is reset.
func sumBlock(h *blake3.Hasher, store cairn.StoreID, k Key, block []byte) (sum [32]byte) {
	var prefix [41]byte
	copy(prefix[:], store[:])
	copy(prefix[16:], k.Pack[:])
	prefix[32] = k.Index
	binary.BigEndian.PutUint32(prefix[33:], k.Block)
	binary.BigEndian.PutUint32(prefix[37:], uint32(len(block)))
	h.Reset()
	h.Write(prefix[:])
	h.Write(block)
	h.Sum(sum[:0])
	return sum
}

// encodeHead is the head of a file of store, under the key of h.
func encodeHead(h *blake3.Hasher, store cairn.StoreID) []byte {
	b := make([]byte, 0, headSize)
	b = append(b, fileMagic...)
	b = binary.BigEndian.AppendUint32(b, fileVersion)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = append(b, store[:]...)
	h.Reset()
	h.Write(b)
	b = h.Sum(b)
	sum := blake3.Sum256(b)
	b = append(b, sum[:]...)
	return b[:headSize]
}

// checkHead tells whether the file whose first bytes are b may be used as it
// is; if not, and without an error, it is to be begun anew.
func checkHead(b []byte, h *blake3.Hasher, store cairn.StoreID) (usable bool, err error) {
	if len(b) < headUsed || string(b[:8]) != fileMagic || binary.BigEndian.Uint32(b[8:]) != fileVersion {
		return false, nil
	}
	sum := blake3.Sum256(b[:64])
	if !bytes.Equal(sum[:], b[64:headUsed]) {
		return false, nil // damaged: whose it was is not known either
	}
	if theirs := cairn.StoreID(b[16:32]); theirs != store {
		return false, fmt.Errorf("%s is the cache of store %s and this is store %s; give each store a directory of its own, or remove the file: %w",
			fileName, theirs.Short(), store.Short(), cairn.ErrInvalid)
	}
	return bytes.Equal(b[:headUsed], encodeHead(h, store)[:headUsed]), nil
}
