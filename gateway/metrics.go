package gateway

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts requests by operation class (get, head, put, delete, list,
// bucket, other) and by what they came to (2xx to 5xx, torn).
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	received prometheus.Counter
	sent     prometheus.Counter
	inFlight prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cairn_gateway_requests_total", Help: "S3 requests by operation and class of answer.",
		}, []string{"op", "class"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cairn_gateway_request_seconds", Help: "Time from a request's header to the end of its answer.",
			Buckets: []float64{.001, .003, .01, .03, .1, .3, 1, 3, 10, 30, 100},
		}, []string{"op"}),
		received: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cairn_gateway_received_bytes_total", Help: "Bytes of request bodies, as they came.",
		}),
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cairn_gateway_sent_bytes_total", Help: "Bytes of answers' bodies.",
		}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "cairn_gateway_requests_in_flight", Help: "S3 requests being answered.",
		}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.received, m.sent, m.inFlight} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) count(r *request, took time.Duration, finished bool) {
	class := "torn"
	if finished {
		class = statusClass(r.w.status)
	}
	m.requests.WithLabelValues(r.op.class, class).Inc()
	m.seconds.WithLabelValues(r.op.class).Observe(took.Seconds())
	m.received.Add(float64(r.wire.received))
	m.sent.Add(float64(r.w.sent))
}

func statusClass(status int) string {
	switch status / 100 {
	case 2:
		return "2xx"
	case 3:
		return "3xx"
	case 4:
		return "4xx"
	}
	return "5xx"
}
