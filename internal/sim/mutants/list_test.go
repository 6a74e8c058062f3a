// Package mutants breaks the product on purpose, one line at a time, and shows
// which test notices. A break that no test notices is a promise that nobody
// keeps.
//
// Reading order: list_test.go (the breaks), run_test.go (how each is tried).
//
//	CAIRN_MUTANTS=1 go test -v -count=1 -timeout 1h ./internal/sim/mutants
package mutants

// mutant is one deliberate break.
type mutant struct {
	name     string // what the product does wrong then
	file     string // below the root of the module
	old, new string // old stands in file exactly once
	pkg      string // of the tests that must notice
	tests    string // regular expression that names them
}

// mutants are the breaks. Whoever changes a line named here changes it here
// too: a break that does not apply any more is a failure.
func mutants() []mutant {
	return []mutant{
		{"release a stage before the index is flushed", "store/release.go",
			`if err := s.idx.Flush(); err != nil {`,
			`if err := error(nil); err != nil {`,
			"store", "TestAStageGoesOnlyWithAFlushOfItsOwn"},
		{"release a stage without looking for its shards once more", "store/release.go",
			`if len(at) < need {`,
			`if false && len(at) < need {`,
			"store", "TestHazardA7H1"},
		{"answer before the fsync", "store/group.go",
			`if err := c.open.file.Sync(); err != nil {`,
			`if err := error(nil); err != nil {`,
			"store", "TestPowerLossAtEveryDurableStep"},
		{"try a failed fsync again and believe it", "store/group.go",
			`if err := c.open.file.Sync(); err != nil {`,
			`if err := c.open.file.Sync(); err != nil && c.open.file.Sync() != nil {`,
			"store", "TestOneDurableStepFails"},
		{"take nothing back of a group that failed", "store/group.go",
			`c.voids = append(c.voids, ch.Record.Stamp)`,
			`_ = ch`,
			"store", "TestWhatIsTakenBackTakesNoPackAlong"},
		{"publish a log pack before the packs that it names", "store/spread.go",
			`if q := s.packs[id]; q != nil && q.phase < spread {`,
			`if q := s.packs[id]; false && q != nil {`,
			"store", "TestHazardA5H1"},
		{"the same nonce prefix for every pack", "store/staged.go",
			`if _, err := rand.Read(h.Prefix[:]); err != nil {`,
			`if _, err := rand.Read(random[:]); err != nil {`,
			"store", "TestEveryStageHasItsOwnNonces"},
		{"a life that takes the number of the one before", "store/life.go",
			`number: max(number, last.Life) + 1,`,
			`number: max(number, last.Life, 1),`,
			"store", "TestHazardA2"},
		{"decide conditions against the index alone", "store/txn.go",
			`if n, there := t.over[objectID{bucket, key}]; there {`,
			`if n, there := t.over[objectID{bucket, key}]; false && there {`,
			"store", "TestConditionsSeeTheirOwnGroup"},
		{"a delete leaves no tombstone", "index/fact.go",
			`next.deleted = f.version`,
			`_ = f.version`,
			"index", "TestAnyOrderGivesTheSame"},
		{"the record that comes last wins, whatever its stamp", "index/fact.go",
			`if !t.alive(f) || cur != nil && cur.compare(f) > 0 {`,
			`if !t.alive(f) {`,
			"index", "TestAnyOrderGivesTheSame"},
		{"a cut-off one record too high", "index/apply.go",
			`if s.Compare(t.soft.floor) < 0 {`,
			`if s.Compare(t.soft.floor) <= 0 && !t.soft.floor.IsZero() {`,
			"index", "TestDropTombstonesChangesNothing"},
		{"forget versions above the cut-off that may return", "index/settle.go",
			`return f.record.Compare(below) >= 0`,
			`return false`,
			"index", "TestWhatMayReturnIsKept"},
		{"forget the version below the cut-off that all may fall back to", "index/settle.go",
			`return f.kind == put // no tombstone says the same`,
			`return false`,
			"index", "TestWhatMayReturnIsKept"},
		{"a completed upload keeps no reference to its parts", "index/apply.go",
			`return t.end(s, b.Upload, &b.Put)`,
			`for _, p := range b.Put.Parts {
			for _, e := range p.Extents {
				if err := t.del(refKey(e.Pack, s)); err != nil {
					return err
				}
			}
		}
		return t.end(s, b.Upload, &b.Put)`,
			"index", "TestHazardA6H2"},
		{"read blocks without their hash", "pack/tail.go",
			` || crypt.Sum(b) != t.Blocks[i] {`,
			` {`,
			"internal/sim/loss", "TestEveryLoss/2.2"},
		{"believe block hashes that do not give the signed root", "pack/tail.go",
			`if crypt.ShardRoot(t.ID, t.Index, t.Length, tail.Blocks) != t.Roots[t.Index] {`,
			`if false {`,
			"fleet", "TestABlockCountsOnlyUnderItsSignedRoot"},
		{"believe whoever signed a trailer", "pack/tail.go",
			`if !trust(t.Store, t.Signer) {`,
			`if false {`,
			"pack", "TestAFileSignedByAStrangerIsNoticed"},
		{"believe a trailer whose signature does not fit", "pack/trailer.go",
			`if !t.Signer.Verify(crypt.SignTrailer, t.signed(), t.sig) {`,
			`if false {`,
			"pack", "TestEveryChangeOfATrailerIsNoticed"},
		{"write a rebuilt shard without its root", "pack/tail.go",
			`if crypt.ShardRoot(t.ID, index, t.Length, hs) != t.Roots[index] {`,
			`if false {`,
			"pack", "TestHazardB1ARebuiltShardMustEqualItsRoot"},
		{"frames that open as those of another content", "crypt/crypt.go",
			`copy(b[:16], c[:])`,
			`_ = c`,
			"pack", "TestHazardB16FrameOfAnotherContent"},
		{"believe \"not found\" without the marker", "fleet/mark.go",
			`if err := n.checkMarker(ctx, r); err != nil {
		return err
	}
	return notFound`,
			`return notFound`,
			"fleet", "TestHazardB7"},
		{"put shards without a durable intent", "fleet/placing.go",
			`if err := p.intend(slices.Clone(round)); err != nil {`,
			`if err := error(nil); err != nil {`,
			"fleet", "TestIntentComesBeforeEveryPut"},
		{"believe a shard shorter than was put", "fleet/placing.go",
			`case size != t.FileSize():`,
			`case false && size == 0:`,
			"fleet", "TestAShardOfAnotherSizeDoesNotStand"},
		{"call a pack unavailable whose nodes left the store", "fleet/fetch.go",
			`class: cairn.ErrLost, causes: causes}`,
			`class: cairn.ErrUnavailable, causes: causes}`,
			"fleet", "TestLostOrOnlyAway"},
		{"call a pack lost before the nodes are known", "fleet/fetch.go",
			`told := f.told && !f.closed`,
			`told := f.told || !f.closed`,
			"fleet", "TestBeforeTheNodesAreToldNothingIsLost"},
		{"accept a signature of any date", "gateway/identify.go",
			`if d := now.Sub(at); d > maxSkew || d < -maxSkew {`,
			`if d := now.Sub(at); false && d > maxSkew {`,
			"gateway", "TestTheWrongClockAndHostAreNamed"},
		{"pass chunks whatever their signature", "gateway/sigv4/reader.go",
			`if r.chain == nil {
		return nil`,
			`if true {
		return nil`,
			"gateway/sigv4", "TestDamagedBodiesNeverEndCleanly"},
		{"remove an extra copy without a look at the others", "scrub/settle.go",
			`if good := s.c.Nodes.Verify(ctx, row.Params, row.At); len(good) < n || !coversAll(good, n) {`,
			`if good := s.c.Nodes.Verify(ctx, row.Params, row.At); false && len(good) < n {`,
			"scrub", "TestAnExtraCopyGoesOnlyWhenAllOthersWereJustVerified"},
		{"lost at the first look", "scrub/look.go",
			`if !ok || now.since(first) < s.c.Again {`,
			`if !ok && now.since(first) < 0 {`,
			"scrub", "TestHazardB7AShardIsLostOnlyAtASecondLookAnHourLater"},
		{"a placement that overwrites what changed meanwhile", "scrub/mend.go",
			`if !slices.Contains(a.row.At, l) {`,
			`if false && !slices.Contains(a.row.At, l) {`,
			"scrub", "TestPlacesThatChangedMeanwhileAreNotOverwritten"},
		{"delete before every node knows the root that retires", "store/collect.go",
			`return s.grace.cover(cut.Last, s.clock.Now(), s.c.Grace)`,
			`cut.Last = s.idx.Applied()
	return s.grace.cover(cut.Last, s.clock.Now(), s.c.Grace)`,
			"store", "TestHazardA9H2RootsEverywhereFirst"},
		{"delete before the grace has passed", "store/collect.go",
			`case left > 0:`,
			`case left > 0 && c.out.InGrace < 0:`,
			"store", "TestDeadPacksGo"},
		{"make an index again without the end of the log", "store/rebuild.go",
			`top := max(cut.Number, released)`,
			`top := max(cut.Number, min(released, 0))`,
			"store", "TestALostIndexIsNotMadeWithoutTheEndOfTheLog"},
		{"believe every name of a pack that goes", "store/adopt.go",
			` && held[l.Node] < layout.MaxPerNode {`,
			` && held[l.Node] < layout.MaxPerNode<<20 {`,
			"store", "TestNamesThatANodeMakesUpDoNotMakeARowOfAnyLength"},
	}
}
