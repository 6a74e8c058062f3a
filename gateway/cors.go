package gateway

import (
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
)

// getCORS answers with the bucket's cross-origin rules.
func (g *Gateway) getCORS(r *request) error {
	b, err := g.c.Store.Bucket(r.Context(), r.key.Bucket)
	if err != nil {
		return err
	}
	if b.CORS == "" {
		return fail(codeNoCORS, "the bucket has no CORS configuration")
	}
	rules, err := decodeCORS(b.CORS)
	if err != nil {
		return err
	}
	r.writeXML(http.StatusOK, corsXML{xml.Name{Local: "CORSConfiguration"}, s3Namespace, rules.escaped()})
	return nil
}

// putCORS replaces the bucket's cross-origin rules.
func (g *Gateway) putCORS(r *request) error {
	document, err := g.readDocument(r)
	if err != nil {
		return err
	}
	encoded, err := parseCORS(document)
	if err != nil {
		return err
	}
	if err := g.c.Store.SetBucketCORS(r.Context(), r.key.Bucket, encoded); err != nil {
		return err
	}
	r.writeEmpty(http.StatusOK)
	return nil
}

// deleteCORS takes the bucket's cross-origin rules away.
func (g *Gateway) deleteCORS(r *request) error {
	if err := g.c.Store.SetBucketCORS(r.Context(), r.key.Bucket, ""); err != nil {
		return err
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}

// opPreflight is a browser's question before a request; it is never signed.
var opPreflight = operation{name: "Preflight", class: "other"}

// preflight answers an OPTIONS request: whether the bucket's rules let a page
// of that origin send such a request. Who asks is not known, so a bucket that
// is not there gets the same answer as one without rules.
func (g *Gateway) preflight(r *request) error {
	r.op = opPreflight
	origin, method := r.Header.Get("Origin"), r.Header.Get("Access-Control-Request-Method")
	switch {
	case origin == "":
		return fail(codeBadRequest, "insufficient information: an OPTIONS request needs the header Origin")
	case method == "":
		return fail(codeBadRequest, "insufficient information: an OPTIONS request needs the header Access-Control-Request-Method")
	}
	var headers []string
	for _, v := range r.Header["Access-Control-Request-Headers"] {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
				headers = append(headers, name)
			}
		}
	}
	rule, ok := g.rulesOf(r).match(origin, method, headers)
	if !ok {
		r.w.Header().Set("Vary", corsVary)
		return fail(codeAccessForbidden, "CORSResponse: This CORS request is not allowed: no rule of the bucket allows the origin %s, the method %s and the headers [%s] together", origin, method, strings.Join(headers, ", "))
	}
	rule.write(r.w.Header(), origin)
	if len(headers) > 0 {
		r.w.Header().Set("Access-Control-Allow-Headers", strings.Join(headers, ", "))
	}
	r.writeEmpty(http.StatusOK)
	return nil
}

// setCORS writes into an answer, whatever it will be, that pages of the
// request's origin may read it, where the bucket's rules say so.
func (g *Gateway) setCORS(r *request) {
	origin := r.Header.Get("Origin")
	if origin == "" || r.key.Bucket == "" {
		return
	}
	rules := g.rulesOf(r)
	if len(rules.CORSRules) == 0 {
		return
	}
	r.w.Header().Set("Vary", corsVary)
	if rule, ok := rules.match(origin, r.Method, nil); ok {
		rule.write(r.w.Header(), origin)
	}
}

// corsVary is what answers depend on where there are rules.
const corsVary = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"

// rulesOf are the rules of r's bucket; none where they cannot be had.
func (g *Gateway) rulesOf(r *request) corsRules {
	b, err := g.c.Store.Bucket(r.Context(), r.key.Bucket)
	if err != nil || b.CORS == "" {
		return corsRules{}
	}
	rules, err := decodeCORS(b.CORS)
	if err != nil {
		return corsRules{}
	}
	return rules
}

// write puts what c allows into the header of an answer to origin.
func (c corsRule) write(h http.Header, origin string) {
	if c.anyOrigin() {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	h.Set("Access-Control-Allow-Methods", strings.Join(c.AllowedMethods, ", "))
	if len(c.ExposeHeaders) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(c.ExposeHeaders, ", "))
	}
	if c.MaxAgeSeconds != nil {
		h.Set("Access-Control-Max-Age", strconv.Itoa(*c.MaxAgeSeconds))
	}
	h.Set("Vary", corsVary)
}
