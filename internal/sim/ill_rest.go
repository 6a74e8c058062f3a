package sim

// What happened to files at rest while nobody looked. It stays when the node
// is well again.

// each calls harm with every shard of the node that the sickness picks.
func (s *sickness) each(harm func(name string, data []byte)) {
	for _, name := range s.node.shards() {
		if data, ok := s.node.mem.Bytes(name); ok && s.picks(name) {
			harm(name, data)
		}
	}
}

func losePart(s *sickness) {
	s.each(func(name string, _ []byte) { s.node.mem.Drop(name) })
}

func rot(s *sickness) {
	s.each(func(name string, data []byte) {
		if len(data) > 0 {
			data[hash(s.node.seed, "rot", plain(name))%uint64(len(data))] ^= 1
			s.node.mem.SetBytes(name, data)
		}
	})
}

func truncate(s *sickness) {
	s.each(func(name string, data []byte) {
		s.node.mem.SetBytes(name, data[:hash(s.node.seed, "cut", plain(name))%uint64(len(data)+1)])
	})
}

func extend(s *sickness) {
	s.each(func(name string, data []byte) {
		s.node.mem.SetBytes(name, append(data, make([]byte, 1+hash(s.node.seed, "grow", plain(name))%8192)...))
	})
}

// swap exchanges files two by two.
func swap(s *sickness) {
	last := ""
	s.each(func(name string, data []byte) {
		if last == "" {
			last = name
			return
		}
		other, _ := s.node.mem.Bytes(last)
		s.node.mem.SetBytes(last, data)
		s.node.mem.SetBytes(name, other)
		last = ""
	})
}

// rollBack makes the node what it was when a share of its files, the newest,
// was not there yet.
func rollBack(s *sickness) {
	names := s.node.shards()
	for _, name := range names[len(names)-int(s.share*float64(len(names))):] {
		s.node.mem.Drop(name)
	}
}
