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
	run   func(ctx context.Context, e *env, v verb, args []string) error
}

// verbs is every verb, in the order of the overview.
func verbs() []verb {
	return []verb{
		demoVerb(), initVerb(), serveVerb(), statusVerb(), flushVerb(),
		nodeAddVerb(), nodeListVerb(), nodeCheckVerb(), nodeSetVerb(), nodeRemoveVerb(),
		bucketCreateVerb(), bucketListVerb(), bucketSetVerb(), bucketRemoveVerb(),
		accessCreateVerb(), accessListVerb(), accessRevokeVerb(),
		keyKitVerb(), keyRecipientsVerb(), keyRotateVerb(), recoverVerb(),
		locateVerb(), configCheckVerb(), configShowVerb(), versionVerb(),
	}
}

// adminVerbs is what a gateway carries out for the others.
func adminVerbs(e *engine.Engine) []admin.Verb {
	return []admin.Verb{
		statusOf().verb(e), flushAll().verb(e),
		addNode().verb(e), listNodes().verb(e), checkNode().verb(e), setNode().verb(e), removeNode().verb(e), nodesFor().verb(e),
		createBucket().verb(e), listBuckets().verb(e), setBucket().verb(e), removeBucket().verb(e),
		createAccess().verb(e), listAccess().verb(e), revokeAccess().verb(e),
		makeKit().verb(e), changeRecipients().verb(e), rotateKeys().verb(e),
		locateObject().verb(e),
	}
}
