package fleet

import (
	"testing"
	"testing/synctest"

	"github.com/cairn-storage/cairn/backends"
	"github.com/prometheus/client_golang/prometheus"
)

// TestMetricsOfRepair: bytes by node and op, under the name that people have in
// their dashboards.
func TestMetricsOfRepair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		r := newRig(t, 4, unwatched, func(c *Config) { c.Registry = reg })
		sp := r.spread(coding("2+1"), 300*kib)
		r.lose(sp, 2)
		_, cost, err := r.Repair(t.Context(), sp.Params, sp.where, []uint8{2}, noIntent)
		must(t, err)
		families, err := reg.Gather()
		must(t, err)
		sums := map[string]float64{}
		for _, f := range families {
			for _, m := range f.Metric {
				name := f.GetName()
				for _, l := range m.Label {
					if l.GetName() == "op" {
						name += " " + l.GetValue()
					}
				}
				sums[name] += m.GetCounter().GetValue()
			}
		}
		for name, want := range map[string]float64{
			"cairn_fleet_repair_bytes_total " + backends.OpRead: float64(cost.Read),
			"cairn_fleet_repair_bytes_total " + backends.OpPut:  float64(cost.Written),
		} {
			if sums[name] != want || want == 0 {
				t.Errorf("%s is %g, want %g", name, sums[name], want)
			}
		}
	})
}
