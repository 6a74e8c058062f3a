package gateway

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"

	"github.com/cairn-storage/cairn"
	"github.com/cairn-storage/cairn/store"
)

// code is an S3 error code with its HTTP status.
type code struct {
	name   string
	status int
}

// The S3 errors that the gateway gives.
var (
	codeAccessDenied           = code{"AccessDenied", 403}
	codeAuthorizationMalformed = code{"AuthorizationHeaderMalformed", 400}
	codeBadDigest              = code{"BadDigest", 400}
	codeBucketNotEmpty         = code{"BucketNotEmpty", 409}
	codeBucketOwned            = code{"BucketAlreadyOwnedByYou", 409}
	codeEntityTooLarge         = code{"EntityTooLarge", 400}
	codeIncompleteBody         = code{"IncompleteBody", 400}
	codeHeaderTooLarge         = code{"RequestHeaderSectionTooLarge", 400}
	codeInternal               = code{"InternalError", 500}
	codeInvalidAccessKey       = code{"InvalidAccessKeyId", 403}
	codeInvalidArgument        = code{"InvalidArgument", 400}
	codeInvalidBucketName      = code{"InvalidBucketName", 400}
	codeInvalidDigest          = code{"InvalidDigest", 400}
	codeInvalidRange           = code{"InvalidRange", 416}
	codeInvalidRequest         = code{"InvalidRequest", 400}
	codeInvalidToken           = code{"InvalidToken", 400}
	codeInvalidURI             = code{"InvalidURI", 400}
	codeKeyTooLong             = code{"KeyTooLongError", 400}
	codeMalformedTrailer       = code{"MalformedTrailerError", 400}
	codeMalformedXML           = code{"MalformedXML", 400}
	codeMetadataTooLarge       = code{"MetadataTooLarge", 400}
	codeMethodNotAllowed       = code{"MethodNotAllowed", 405}
	codeMissingLength          = code{"MissingContentLength", 411}
	codeNoSuchBucket           = code{"NoSuchBucket", 404}
	codeNoSuchKey              = code{"NoSuchKey", 404}
	codeNotImplemented         = code{"NotImplemented", 501}
	codePreconditionFailed     = code{"PreconditionFailed", 412}
	codeQuotaExceeded          = code{"QuotaExceeded", 507}
	codeQueryParameters        = code{"AuthorizationQueryParametersError", 400}
	codeRequestTimeout         = code{"RequestTimeout", 400}
	codeSHA256Mismatch         = code{"XAmzContentSHA256Mismatch", 400}
	codeSignatureMismatch      = code{"SignatureDoesNotMatch", 403}
	codeSkewed                 = code{"RequestTimeTooSkewed", 403}
	codeSlowDown               = code{"SlowDown", 503}
	codeUnavailable            = code{"ServiceUnavailable", 503}

	codeEntityTooSmall   = code{"EntityTooSmall", 400}
	codeInvalidPart      = code{"InvalidPart", 400}
	codeInvalidPartOrder = code{"InvalidPartOrder", 400}
	codeMessageTooLong   = code{"MaxMessageLengthExceeded", 400}
	codeNoSuchUpload     = code{"NoSuchUpload", 404}

	codeAccessForbidden   = code{"AccessForbidden", 403}
	codeBadRequest        = code{"BadRequest", 400}
	codeBucketQuota       = code{"QuotaExceeded", 403} // of one bucket; codeQuotaExceeded is of the store
	codeInvalidPartNumber = code{"InvalidPartNumber", 416}
	codeInvalidTag        = code{"InvalidTag", 400}
	codeNoCORS            = code{"NoSuchCORSConfiguration", 404}
)

// table carries out DESIGN section 12: class to S3 error and to a sentence
// for people. The more specific stands first.
var table = []struct {
	err  error
	code code
	say  string
}{
	{store.ErrNoBucket, codeNoSuchBucket, "the bucket does not exist"},
	{store.ErrBucketExists, codeBucketOwned, "the bucket exists already and is yours"},
	{store.ErrNoUpload, codeNoSuchUpload, "the multipart upload does not exist; it may have been completed or aborted"},
	{store.ErrNoPart, codeInvalidPart, "a listed part was not uploaded"},
	{store.ErrBucketNotEmpty, codeBucketNotEmpty, "the bucket still holds objects; delete them first"},
	{cairn.ErrFork, codeUnavailable, "another gateway writes to this store, so this one has stopped; its operator must decide which goes on"},
	{cairn.ErrLost, codeInternal, "the object is lost: too few of its shards exist"},
	{cairn.ErrCorrupt, codeInternal, "the object's bytes are not what was written, so they are not given out"},
	{cairn.ErrFull, codeQuotaExceeded, "the store is full; delete objects or add space"},
	{store.ErrQuota, codeBucketQuota, "the bucket's quota is used up; delete objects or raise it"},
	{cairn.ErrDenied, codeAccessDenied, "access denied"},
	{cairn.ErrPrecondition, codePreconditionFailed, "the object is not as the request's conditions want it"},
	{cairn.ErrInvalid, codeInvalidArgument, "the request cannot be carried out as it is"},
	{cairn.ErrNotExist, codeNoSuchKey, "the object does not exist"},
	{cairn.ErrSlowDown, codeSlowDown, "too many writes wait for the nodes; try again"},
	{cairn.ErrUnavailable, codeUnavailable, "too few nodes answer now; try again"},
	{context.Canceled, codeUnavailable, "the request was given up"},
	{context.DeadlineExceeded, codeUnavailable, "the request took too long; try again"},
}

// retryAfter is what clients that overwhelm us are asked to wait, in seconds.
const retryAfter = "2"

// errClientGone marks an answer that the client did not take.
var errClientGone = errors.New("the client went away")

// failure is an S3 error.
type failure struct {
	code    code
	message string // for people: what, where, what to do
	region  string // the right one, where the client's was wrong
	cause   error  // may be nil
	details []detail
}

// detail is one more element of an S3 error, for programs.
type detail struct {
	XMLName xml.Name
	Value   string `xml:",chardata"`
}

// with adds a detail to f.
func (f *failure) with(name string, value any) *failure {
	f.details = append(f.details, detail{xml.Name{Local: name}, fmt.Sprint(value)})
	return f
}

func (f *failure) Error() string { return f.code.name + ": " + f.message }

func (f *failure) Unwrap() error { return f.cause }

func fail(c code, format string, a ...any) *failure {
	return &failure{code: c, message: fmt.Sprintf(format, a...)}
}

func notImplemented(what string) error {
	return fail(codeNotImplemented, "%s is not implemented here", what)
}

// classify gives err the S3 error that clients see. Details of the store go
// to those with an access key only.
func classify(err error, anonymous bool) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	for _, row := range table {
		if !errors.Is(err, row.err) {
			continue
		}
		f = &failure{code: row.code, message: row.say, cause: err}
		if !anonymous {
			f.message += " (" + err.Error() + ")"
		}
		return f
	}
	return &failure{code: codeInternal, message: "something went wrong that should not; the gateway's log has more under this request id", cause: err}
}

// errorXML is the body of an S3 error.
type errorXML struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   text
	Region    string `xml:",omitempty"`
	Details   []detail
	Resource  text
	RequestID string `xml:"RequestId"`
	HostID    string `xml:"HostId"`
}

// answerError answers r, to which nothing was answered yet, with err.
func (g *Gateway) answerError(r *request, err error) {
	f := classify(err, r.anonymous)
	h := r.w.Header()
	if f.code == codeSlowDown || f.code == codeUnavailable {
		h.Set("Retry-After", retryAfter)
	}
	if f.code.status == http.StatusMethodNotAllowed {
		h.Set("Allow", "GET, HEAD, PUT, DELETE")
	}
	if f.code == codeAccessDenied && r.anonymous && r.sent.Get("Authorization") == "" && !r.presigned() && g.basicAllowed(r) {
		// The status stays 403, which S3 clients and Nix know.
		h.Set("WWW-Authenticate", challenge)
	}
	r.writeXML(f.code.status, errorXML{
		Code: f.code.name, Message: escapeText(f.message), Region: f.region, Details: f.details, Resource: escapeText(r.path), RequestID: r.id, HostID: g.host,
	})
}
