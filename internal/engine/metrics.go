package engine

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
)

// NewMetrics shows on the registry what the SDK measures, under the names that Temporal's documents and dashboards use: counters end in
// _total, times are histograms in seconds and end in _seconds.
func NewMetrics(registry prometheus.Registerer) client.MetricsHandler {
	s := &series{all: map[string]prometheus.Metric{}}
	registry.MustRegister(s)
	return metrics{to: s}
}

// maxSeries bounds what is kept. Labels are names of calls, queues, workflows and activities, so a process has some hundreds.
const maxSeries = 5000

// secondsBuckets reach from a fast call to a job that waits for long.
var secondsBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 14400}

// series are all metrics of a process. They are registered as one collector that does not describe itself, because the SDK
// gives one name different labels in different places.
type series struct {
	mu  sync.RWMutex
	all map[string]prometheus.Metric
}

// Describe is prometheus.Collector's.
func (s *series) Describe(chan<- *prometheus.Desc) {}

// Collect is prometheus.Collector's.
func (s *series) Collect(to chan<- prometheus.Metric) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, m := range s.all {
		to <- m
	}
}

// one gives the metric of a key, which fresh makes if there is none; nil when there are too many.
func (s *series) one(key string, fresh func() prometheus.Metric) prometheus.Metric {
	s.mu.RLock()
	m := s.all[key]
	s.mu.RUnlock()
	if m != nil {
		return m
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m = s.all[key]; m == nil && len(s.all) < maxSeries {
		m = fresh()
		s.all[key] = m
	}
	return m
}

// metrics is a client.MetricsHandler with the labels it was given.
type metrics struct {
	to     *series
	labels prometheus.Labels
	key    string // the labels, in order
}

// WithTags is client.MetricsHandler's.
func (m metrics) WithTags(tags map[string]string) client.MetricsHandler {
	n := metrics{to: m.to, labels: make(prometheus.Labels, len(m.labels)+len(tags))}
	for name, value := range m.labels {
		n.labels[name] = value
	}
	for name, value := range tags {
		delete(n.labels, name)
		if name != "client_name" && value != "none" { // the same for every SDK in Go; the SDK's word for no label
			n.labels[name] = value
		}
	}
	parts := make([]string, 0, len(n.labels))
	for name, value := range n.labels {
		parts = append(parts, name+"\x00"+value)
	}
	slices.Sort(parts)
	n.key = strings.Join(parts, "\x01")
	return n
}

func (m metrics) id(name string) string { return name + "\x02" + m.key }

// Counter is client.MetricsHandler's.
func (m metrics) Counter(name string) client.MetricsCounter {
	c, ok := m.to.one(m.id(name), func() prometheus.Metric {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name + "_total", Help: help, ConstLabels: m.labels})
	}).(prometheus.Counter)
	if !ok {
		return counter{}
	}
	return counter{c}
}

// Gauge is client.MetricsHandler's.
func (m metrics) Gauge(name string) client.MetricsGauge {
	g, ok := m.to.one(m.id(name), func() prometheus.Metric {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: m.labels})
	}).(prometheus.Gauge)
	if !ok {
		return gauge{}
	}
	return gauge{g}
}

// Timer is client.MetricsHandler's.
func (m metrics) Timer(name string) client.MetricsTimer {
	if strings.HasSuffix(name, "_attempt") { // of single tries of calls, which their counters tell enough of
		return timer{}
	}
	h, ok := m.to.one(m.id(name), func() prometheus.Metric {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name + "_seconds", Help: help, ConstLabels: m.labels, Buckets: secondsBuckets})
	}).(prometheus.Histogram)
	if !ok {
		return timer{}
	}
	return timer{h}
}

// help is the same for all: the SDK tells none, and the names are documented by Temporal.
const help = "As the reference of the Temporal SDK's metrics tells."

type counter struct{ c prometheus.Counter }

func (c counter) Inc(n int64) {
	if c.c != nil && n >= 0 {
		c.c.Add(float64(n))
	}
}

type gauge struct{ g prometheus.Gauge }

func (g gauge) Update(v float64) {
	if g.g != nil {
		g.g.Set(v)
	}
}

type timer struct{ h prometheus.Histogram }

func (t timer) Record(d time.Duration) {
	if t.h != nil {
		t.h.Observe(d.Seconds())
	}
}
