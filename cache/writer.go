package cache

import (
	"cmp"
	"io"
	"slices"
)

// run is the disk's one goroutine: it alone gives out slots and writes.
func (d *disk) run() {
	if !d.load() {
		return
	}
	for {
		select {
		case j := <-d.queue:
			d.do(j)
		case <-d.quit:
			for { // what waits is at most queueLength blocks
				select {
				case j := <-d.queue:
					d.do(j)
				default:
					return
				}
			}
		}
	}
}

func (d *disk) do(j job) {
	err := d.write(j)
	if err != nil {
		d.mu.Lock()
		d.stats.Failed++
		d.mu.Unlock()
	}
	if err != nil && !d.failing {
		d.log.Warn("cache: blocks cannot be written; serving goes on without them", "err", err)
	}
	d.failing = err != nil
}

// write carries out j. Slot first, entry second, index last: a block is found
// only when all of it stands, in this process and in the next.
func (d *disk) write(j job) error {
	d.mu.Lock()
	at, there, frequent := d.blocks.peek(j.key)
	d.mu.Unlock()
	if j.block == nil {
		if !there {
			return nil
		}
		return d.writeEntry(saved{key: j.key, at: at, frequent: frequent})
	}
	if there {
		return nil
	}
	at = location{slot: d.takeSlot(), length: uint32(len(j.block)), sum: d.sum(j.key, j.block)}
	_, err := d.file.WriteAt(j.block, slotOffset(at.slot))
	if err == nil {
		// The entry says what add below will decide: nobody else adds.
		d.mu.Lock()
		frequent = d.blocks.isGhost(j.key)
		d.mu.Unlock()
		err = d.writeEntry(saved{key: j.key, at: at, frequent: frequent})
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		d.free = append(d.free, at.slot)
		return err
	}
	d.blocks.add(j.key, at, 1)
	return nil
}

func (d *disk) writeEntry(s saved) error {
	d.stamp++
	s.stamp = d.stamp
	_, err := d.file.WriteAt(s.encode(), entryOffset(s.at.slot))
	return err
}

// takeSlot returns a slot that holds nothing. There is one: one more slot
// exists than blocks are held, and only the writer takes any.
func (d *disk) takeSlot() uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.free); n > 0 {
		slot := d.free[n-1]
		d.free = d.free[:n-1]
		return slot
	}
	d.next++
	return d.next - 1
}

// load takes up what the file holds, in order of arrival. It reads the tables
// only: 1 MiB for each GiB of blocks. A table that cannot be read is empty. It
// is false when it was ended before: nothing must be written then, because it
// is not known which slots hold what.
func (d *disk) load() bool {
	var found []saved
	table := make([]byte, tableSize)
	for first := uint32(0); first < d.slots; first += groupSlots {
		select {
		case <-d.quit:
			return false
		default:
		}
		n, err := d.file.ReadAt(table, entryOffset(first))
		for i := range min(uint32(n/entrySize), d.slots-first) {
			if s, ok := decodeEntry(table[i*entrySize:], first+i); ok {
				found = append(found, s)
			}
		}
		if err == io.EOF {
			break
		}
	}
	slices.SortFunc(found, func(a, b saved) int { return cmp.Compare(a.stamp, b.stamp) })
	holds := make([]bool, d.slots)
	for some := range slices.Chunk(found, groupSlots) { // Get need not wait for all
		d.mu.Lock()
		for _, s := range some {
			d.stamp = max(d.stamp, s.stamp)
			d.next = max(d.next, s.at.slot+1)
			if _, there, _ := d.blocks.peek(s.key); !there {
				holds[s.at.slot] = true
				d.blocks.restore(s.key, s.at, 1, s.frequent)
			}
		}
		d.mu.Unlock()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	// Slots that were taken up and let go again are in d.free already.
	for slot := range d.next {
		if !holds[slot] {
			d.free = append(d.free, slot)
		}
	}
	d.stats.Loaded = true
	return true
}
