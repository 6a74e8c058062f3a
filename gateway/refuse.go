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

// subresource is the one of q's parameters that names another operation; where
// there are several, all of them, which no operation is called by.
// versionId=null is the plain object where nothing is versioned; a partNumber
// beside an uploadId is the upload's.
func subresource(q params) string {
	sub := ""
	for _, p := range q {
		if p.name == "versionId" && p.value == "null" || p.name == "partNumber" && q.has("uploadId") {
			continue
		}
		switch {
		case !slices.Contains(subresources, p.name), p.name == sub:
		case sub == "":
			sub = p.name
		default:
			sub += "&" + p.name
		}
	}
	return sub
}

// Operations that take headers which all others refuse.
var (
	copies  = []string{"CopyObject", "UploadPartCopy"}
	makings = []string{"PutObject", "CopyObject", "CreateMultipartUpload"}
)

// refusedHeaders ask for something that cairn would otherwise silently not
// do. A value listed as harmless asks for what happens anyway; operations
// listed carry the header out. The first row that fits counts.
var refusedHeaders = []struct {
	name       string // lower case; with a hyphen at its end, a prefix
	harmless   []string
	operations []string
}{
	{"x-amz-acl", []string{"private"}, nil},
	{"x-amz-grant-", nil, nil},
	{"x-amz-copy-source", nil, copies},
	{"x-amz-copy-source-if-match", nil, copies},
	{"x-amz-copy-source-if-none-match", nil, copies},
	{"x-amz-copy-source-if-modified-since", nil, copies},
	{"x-amz-copy-source-if-unmodified-since", nil, copies},
	{"x-amz-copy-source-range", nil, []string{"UploadPartCopy"}},
	{"x-amz-copy-source-", nil, nil},
	{"x-amz-metadata-directive", nil, []string{"CopyObject"}},
	{"x-amz-tagging-directive", nil, []string{"CopyObject"}},
	{"x-amz-tagging", []string{""}, makings},
	{"x-amz-tagging-", nil, nil},
	{"x-amz-server-side-encryption", nil, nil},
	{"x-amz-server-side-encryption-", nil, nil},
	{"x-amz-storage-class", []string{"STANDARD"}, nil},
	{"x-amz-website-redirect-location", nil, nil},
	{"x-amz-object-lock-", nil, nil},
	{"x-amz-bucket-object-lock-enabled", []string{"false"}, nil},
	{"x-amz-object-ownership", []string{"BucketOwnerEnforced"}, nil},
	{"x-amz-write-offset-bytes", nil, nil},
	{"x-amz-if-match-", nil, nil},
	{"x-amz-mfa", nil, nil},
	{"x-amz-expected-bucket-owner", nil, nil},
	{"x-amz-source-expected-bucket-owner", nil, nil},
	{"x-amz-rename-source", nil, nil},
	{"x-amz-rename-source-", nil, nil},
}

// refuseHeaders returns NotImplemented when h asks for what cairn does not do,
// or not in that operation.
func refuseHeaders(h http.Header, op operation) error {
	for name, values := range h {
		if !strings.HasPrefix(name, "X-Amz-") {
			continue
		}
		lower := strings.ToLower(name)
		for _, r := range refusedHeaders {
			if lower != r.name && !(strings.HasSuffix(r.name, "-") && strings.HasPrefix(lower, r.name)) {
				continue
			}
			if slices.Contains(r.operations, op.name) {
				break
			}
			for _, v := range values {
				if !slices.Contains(r.harmless, v) {
					return notImplemented("the header " + lower + ": " + v)
				}
			}
			break
		}
		if lower == "x-amz-security-token" {
			return fail(codeInvalidToken, "cairn's keys have no session tokens; unset AWS_SESSION_TOKEN")
		}
	}
	return nil
}
