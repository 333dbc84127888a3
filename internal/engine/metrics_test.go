package engine

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc/codes"

	"waybill/internal/job"
)

func queuesOf(q ...Queue) func(context.Context) ([]Queue, error) {
	return func(context.Context) ([]Queue, error) { return q, nil }
}

func names(t *testing.T, r *prometheus.Registry) (list []string) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		list = append(list, f.GetName())
	}
	return list
}

func TestMeasuresOfTheSDKAreShownUnderTheirDocumentedNames(t *testing.T) {
	r := prometheus.NewRegistry()
	c, err := Dial(t.Context(), Options{Address: temporalAddress(t), Namespace: "default", Metrics: NewMetrics(r)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.DescribeWorkflowExecution(t.Context(), "no-such-workflow", "")
	have := names(t, r)
	for _, want := range []string{"temporal_request_total", "temporal_request_latency_seconds", "temporal_request_failure_total"} {
		if !slices.Contains(have, want) {
			t.Errorf("%s is missing: %v", want, have)
		}
	}
}

func TestOneNameMayHaveDifferentLabels(t *testing.T) {
	r := prometheus.NewRegistry()
	m := NewMetrics(r)
	m.Counter("a").Inc(1)
	m.WithTags(map[string]string{"operation": "x", "client_name": "temporal_go"}).Counter("a").Inc(2)
	m.WithTags(map[string]string{"operation": "x"}).WithTags(map[string]string{"status_code": codes.NotFound.String()}).Counter("a").Inc(3)
	m.WithTags(map[string]string{"operation": "x"}).Counter("a").Inc(4)
	m.Timer("b").Record(time.Second)
	m.Gauge("c").Update(5)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var sums []float64
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			switch f.GetName() {
			case "a_total":
				sums = append(sums, metric.GetCounter().GetValue())
			case "b_seconds":
				sums = append(sums, metric.GetHistogram().GetSampleSum())
			case "c":
				sums = append(sums, metric.GetGauge().GetValue())
			}
		}
	}
	slices.Sort(sums)
	if !slices.Equal(sums, []float64{1, 1, 3, 5, 6}) {
		t.Errorf("values %v", sums)
	}
}

func TestSeriesAreBounded(t *testing.T) {
	r := prometheus.NewRegistry()
	var m client.MetricsHandler = NewMetrics(r)
	for i := range maxSeries + 100 {
		tagged := m.WithTags(map[string]string{"n": strconv.Itoa(i)})
		tagged.Counter("a").Inc(1)
		tagged.Gauge("b").Update(1)
		tagged.Timer("c").Record(1)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range families {
		n += len(f.GetMetric())
	}
	if n != maxSeries {
		t.Errorf("%d series are kept", n)
	}
}

func TestTheBacklogOfAQueueIsShownAndVanishesWithTheServer(t *testing.T) {
	c, err := Dial(t.Context(), Options{Address: temporalAddress(t), Namespace: "default"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	queue := "backlog-" + strconv.FormatInt(time.Now().UnixNano(), 36)
	for range 3 {
		if _, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{TaskQueue: queue}, "Nobody"); err != nil {
			t.Fatal(err)
		}
	}
	b := &Backlog{Engine: c.WorkflowService(), Namespace: "default", Queues: queuesOf(Queue{queue, true}, Queue{Name: queue})}
	r := prometheus.NewRegistry()
	r.MustRegister(b)
	value := func() (count float64, rows int) {
		if err := b.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		families, err := r.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "waybill_task_queue_backlog" {
				rows = len(f.GetMetric())
				for _, m := range f.GetMetric() {
					count += m.GetGauge().GetValue()
				}
			}
		}
		return count, rows
	}
	for over := time.Now().Add(time.Minute); ; {
		count, rows := value()
		if count == 3 && rows == 2 {
			break
		}
		if time.Now().After(over) {
			t.Fatalf("%v tasks in %d rows, want 3 in 2", count, rows)
		}
		time.Sleep(20 * time.Millisecond)
	}
	c.Close()
	if err := b.look(t.Context()); err == nil || job.CodeOf(Fault(err, Options{})) == "" {
		t.Fatal("a closed connection answers")
	}
	if slices.Contains(names(t, r), "waybill_task_queue_backlog") {
		t.Error("numbers of before are still shown")
	}
}
