package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/trace"
)

// metrics counts calls. Labels come from fixed sets only - the router's patterns, the known methods, status codes - so
// that no client can make the number of series grow.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	refused  *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "waybill_http_requests_total", Help: "HTTP requests by route pattern, method and status.",
		}, []string{"route", "method", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "waybill_http_request_duration_seconds", Help: "Time from a request's header to the end of its reply.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 300},
		}, []string{"route", "method"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "waybill_calls_refused_total", Help: "Calls over a limit, by what is limited: the name of a door, or login.",
		}, []string{"limit"}),
	}
	for _, c := range []prometheus.Collector{
		m.requests, m.duration, m.refused, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		var twice prometheus.AlreadyRegisteredError
		err := r.Register(c)
		// The runtime's collectors may be there already, put by whoever owns the registry; our own may not.
		if errors.As(err, &twice) && c != prometheus.Collector(m.requests) && c != prometheus.Collector(m.duration) && c != prometheus.Collector(m.refused) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("api: metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) count(ctx context.Context, route, verb string, status int, took time.Duration) {
	if route == "" {
		route = "unmatched"
	}
	verb = method(verb)
	m.requests.WithLabelValues(route, verb, statusText(status)).Inc()
	observe(m.duration.WithLabelValues(route, verb), took.Seconds(), trace.SpanContextFromContext(ctx))
}

// observe notes a value, with the trace it was seen in where that is kept.
func observe(o prometheus.Observer, value float64, at trace.SpanContext) {
	if e, ok := o.(prometheus.ExemplarObserver); ok && at.IsSampled() {
		e.ObserveWithExemplar(value, prometheus.Labels{"trace_id": at.TraceID().String()})
		return
	}
	o.Observe(value)
}

// method is the method if it is one of HTTP's own, else "OTHER".
func method(s string) string {
	switch s {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return s
	}
	return "OTHER"
}

func statusText(status int) string {
	switch status { // the common ones without an allocation
	case 200:
		return "200"
	case 202:
		return "202"
	case 404:
		return "404"
	}
	return strconv.Itoa(status)
}
