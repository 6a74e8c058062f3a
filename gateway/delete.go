package gateway

import "net/http"

// deleteObject removes the object; that there was none is fine.
func (g *Gateway) deleteObject(r *request) error {
	condition, err := writeCondition(r.Header)
	if err != nil {
		return err
	}
	if err := g.c.Store.Delete(r.Context(), r.key, condition); err != nil {
		return err
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}
