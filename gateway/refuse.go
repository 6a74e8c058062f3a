package gateway

import (
	"net/http"
	"slices"
	"strings"
)

// subresources is every query parameter by which S3 means another operation
// than the plain one. Each either has its own line in route.go or is refused;
// parameters that are not here do not change what is asked for and are ignored.
var subresources = []string{
	"abac", "accelerate", "acl", "analytics", "append", "attributes", "cors", "delete", "encryption",
	"intelligent-tiering", "inventory", "legal-hold", "lifecycle", "location", "logging",
	"metadataConfiguration", "metadataInventoryTable", "metadataJournalTable", "metadataTable",
	"metrics", "notification", "object-lock", "ownershipControls", "partNumber", "policy",
	"policyStatus", "publicAccessBlock", "renameObject", "replication", "requestPayment",
	"restore", "retention", "select", "select-type", "session", "tagging", "torrent",
	"uploadId", "uploads", "versionId", "versioning", "versions", "website",
}

// subresource is the first of q's parameters that names another operation.
// versionId=null is the plain object where nothing is versioned.
func subresource(q params) string {
	for _, p := range q {
		if p.name == "versionId" && p.value == "null" {
			continue
		}
		if slices.Contains(subresources, p.name) {
			return p.name
		}
	}
	return ""
}

// refusedHeaders ask for something that cairn would otherwise silently not
// do. A value listed as harmless asks for what happens anyway.
var refusedHeaders = []struct {
	name     string // lower case; with a hyphen at its end, a prefix
	harmless []string
}{
	{"x-amz-acl", []string{"private"}},
	{"x-amz-grant-", nil},
	{"x-amz-copy-source", nil},
	{"x-amz-copy-source-", nil},
	{"x-amz-server-side-encryption", nil},
	{"x-amz-server-side-encryption-", nil},
	{"x-amz-storage-class", []string{"STANDARD"}},
	{"x-amz-tagging", []string{""}},
	{"x-amz-tagging-", nil},
	{"x-amz-website-redirect-location", nil},
	{"x-amz-object-lock-", nil},
	{"x-amz-bucket-object-lock-enabled", []string{"false"}},
	{"x-amz-object-ownership", []string{"BucketOwnerEnforced"}},
	{"x-amz-write-offset-bytes", nil},
	{"x-amz-if-match-", nil},
	{"x-amz-mfa", nil},
	{"x-amz-expected-bucket-owner", nil},
	{"x-amz-source-expected-bucket-owner", nil},
	{"x-amz-rename-source", nil},
	{"x-amz-rename-source-", nil},
}

// refuseHeaders returns NotImplemented when h asks for what cairn does not do.
func refuseHeaders(h http.Header) error {
	for name, values := range h {
		if len(name) < 6 || name[:6] != "X-Amz-" {
			continue
		}
		lower := strings.ToLower(name)
		for _, r := range refusedHeaders {
			if lower != r.name && !(strings.HasSuffix(r.name, "-") && strings.HasPrefix(lower, r.name)) {
				continue
			}
			for _, v := range values {
				if !slices.Contains(r.harmless, v) {
					return notImplemented("the header " + lower + ": " + v)
				}
			}
		}
		if lower == "x-amz-security-token" {
			return fail(codeInvalidToken, "cairn's keys have no session tokens; unset AWS_SESSION_TOKEN")
		}
	}
	return nil
}
