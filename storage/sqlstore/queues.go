package sqlstore

import "context"

// TaskQueues lists the task queues of the destinations of all accounts, up to limit.
func (s *Store) TaskQueues(ctx context.Context, limit int) ([]string, error) {
	queues, err := many[string](s.read.WithContext(ctx), "SELECT DISTINCT task_queue FROM destinations ORDER BY task_queue LIMIT ?", limit)
	return queues, s.fault(ctx, err)
}
