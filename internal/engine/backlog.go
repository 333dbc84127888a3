package engine

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
)

// Queue is one half of a task queue.
type Queue struct {
	Name      string
	Workflows bool // workflow tasks; else activities
}

// QueueReader is what a Backlog needs of Temporal.
type QueueReader interface {
	DescribeTaskQueue(ctx context.Context, r *workflowservice.DescribeTaskQueueRequest, o ...grpc.CallOption) (*workflowservice.DescribeTaskQueueResponse, error)
}

// Backlog shows how much waits in task queues, for those who add and remove workers by it. It asks Temporal as long as somebody
// reads the metrics.
type Backlog struct {
	Engine    QueueReader
	Namespace string
	Queues    func(context.Context) ([]Queue, error)
	Log       *slog.Logger

	mu    sync.Mutex
	read  time.Time // last Collect
	found map[Queue]queueState
}

type queueState struct {
	count, pollers int
	age            time.Duration
}

// Pace of a Backlog.
const (
	backlogEvery = 10 * time.Second
	backlogCall  = 2 * time.Second
	unreadFor    = 3 * time.Minute // then it is not kept up to date
)

var (
	backlogCount = prometheus.NewDesc("waybill_task_queue_backlog", "Tasks that wait for a worker, about.", []string{"task_queue", "type"}, nil)
	backlogAge   = prometheus.NewDesc("waybill_task_queue_backlog_age_seconds", "How long the oldest of them waits, about.", []string{"task_queue", "type"}, nil)
	backlogPolls = prometheus.NewDesc("waybill_task_queue_pollers", "Processes that asked the queue for tasks in the last minutes.", []string{"task_queue", "type"}, nil)
)

// Describe is prometheus.Collector's.
func (b *Backlog) Describe(to chan<- *prometheus.Desc) {
	to <- backlogCount
	to <- backlogAge
	to <- backlogPolls
}

// Collect is prometheus.Collector's.
func (b *Backlog) Collect(to chan<- prometheus.Metric) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.read = time.Now()
	for q, s := range b.found {
		kind := "activity"
		if q.Workflows {
			kind = "workflow"
		}
		to <- prometheus.MustNewConstMetric(backlogCount, prometheus.GaugeValue, float64(s.count), q.Name, kind)
		to <- prometheus.MustNewConstMetric(backlogAge, prometheus.GaugeValue, s.age.Seconds(), q.Name, kind)
		to <- prometheus.MustNewConstMetric(backlogPolls, prometheus.GaugeValue, float64(s.pollers), q.Name, kind)
	}
}

// Run keeps it up to date until ctx ends.
func (b *Backlog) Run(ctx context.Context) {
	ticker := time.NewTicker(backlogEvery)
	defer ticker.Stop()
	for {
		if err := b.look(ctx); err != nil && ctx.Err() == nil {
			b.Log.DebugContext(ctx, "the backlog of the task queues can not be read", "error", err)
		}
		for wait := true; wait; {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			b.mu.Lock()
			wait = time.Since(b.read) > unreadFor
			if wait {
				b.found = nil // better none than old ones
			}
			b.mu.Unlock()
		}
	}
}

// look reads the state of all queues. What can not be read is left out: an old number would be taken for a new one.
func (b *Backlog) look(ctx context.Context) error {
	queues, err := b.Queues(ctx)
	found := make(map[Queue]queueState, len(queues))
	for _, q := range queues {
		if found[q], err = b.one(ctx, q); err != nil {
			delete(found, q)
			break
		}
	}
	b.mu.Lock()
	b.found = found
	b.mu.Unlock()
	return err
}

func (b *Backlog) one(ctx context.Context, q Queue) (queueState, error) {
	ctx, cancel := context.WithTimeout(ctx, backlogCall)
	defer cancel()
	kind := enumspb.TASK_QUEUE_TYPE_ACTIVITY
	if q.Workflows {
		kind = enumspb.TASK_QUEUE_TYPE_WORKFLOW
	}
	answer, err := b.Engine.DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: b.Namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: q.Name}, TaskQueueType: kind, ReportStats: true,
	})
	if err != nil {
		return queueState{}, err
	}
	stats := answer.GetStats()
	return queueState{count: int(stats.GetApproximateBacklogCount()), age: stats.GetApproximateBacklogAge().AsDuration(), pollers: len(answer.GetPollers())}, nil
}
