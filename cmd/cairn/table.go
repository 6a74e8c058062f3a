package main

import (
	"context"

	"github.com/cairn-storage/cairn/admin"
	"github.com/cairn-storage/cairn/cmd/cairn/engine"
)

// verb is one line of the table.
type verb struct {
	name  string // one word or two
	args  string // positionals, for people
	short string // what it is for, in the overview
	usage string // flags and notes of its own
	try   string // an example
	again string // how to go on after Ctrl-C; empty where there is nothing to say
	run   func(ctx context.Context, e *env, v verb, args []string) error
}

// verbs is every verb, in the order of the overview.
func verbs() []verb {
	return []verb{
		demoVerb(), initVerb(), serveVerb(), statusVerb(), flushVerb(), eventsVerb(),
		nodeAddVerb(), nodeListVerb(), nodeCheckVerb(), nodeSetVerb(), nodeDrainVerb(), nodeRemoveVerb(), nodeResetVerb(), nodeEvidenceVerb(),
		bucketCreateVerb(), bucketListVerb(), bucketSetVerb(), bucketRemoveVerb(),
		accessCreateVerb(), accessListVerb(), accessRevokeVerb(),
		keyKitVerb(), keyRecipientsVerb(), keyRotateVerb(), recoverVerb(),
		scrubVerb(), repairVerb(), rebuildVerb(), rebalanceVerb(), recodeVerb(), compactVerb(), purgeVerb(),
		locateVerb(), configCheckVerb(), configShowVerb(), versionVerb(),
	}
}

// adminVerbs is what a gateway carries out for the others.
func adminVerbs(e *engine.Engine) []admin.Verb {
	return []admin.Verb{
		looks(statusOf().verb(e)), looks(statusWithout().verb(e)), flushAll().verb(e),
		addNode().verb(e), looks(listNodes().verb(e)), checkNode().verb(e), setNode().verb(e), removeNode().verb(e), looks(nodesFor().verb(e)),
		drainNode().verb(e), resetNode().verb(e), looks(nodeEvidence().verb(e)),
		scrubStore().verb(e), repairStore().verb(e), rebuildNode().verb(e), rebalanceNodes().verb(e),
		recodeStore().verb(e), compactStore().verb(e), purgeObject().verb(e),
		createBucket().verb(e), looks(listBuckets().verb(e)), setBucket().verb(e), removeBucket().verb(e),
		createAccess().verb(e), looks(listAccess().verb(e)), revokeAccess().verb(e),
		makeKit().verb(e), changeRecipients().verb(e), rotateKeys().verb(e),
		looks(locateObject().verb(e)),
	}
}

// looks is v, which changes nothing.
func looks(v admin.Verb) admin.Verb {
	v.Looks = true
	return v
}
