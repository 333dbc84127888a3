package native

import (
	"time"

	"waybill/internal/job"
)

// concurrencyRequest is concurrency of native.md, 4.
type concurrencyRequest struct {
	Limit   member[int64]  `json:"limit" doc:"1 or more"`
	Key     member[string] `json:"key" doc:"What jobs have in common that count together, over all job configs of the account; may hold macros. Without it: the job config"`
	OnLimit member[string] `json:"onLimit" doc:"queue (if not given): the job waits, first come first served. skip: no job is made, the answer is the oldest one there. fail: 409 concurrency_limit"`
}

type concurrencyResponse struct {
	Limit   int    `json:"limit"`
	Key     string `json:"key,omitempty"`
	OnLimit string `json:"onLimit"`
}

// layRules lays what was sent over the rules that go beyond one attempt.
func (r *jobConfigRequest) layRules(to *job.Rules) (err error) {
	lay(r.Blocking, &to.Blocking)
	if err := r.Concurrency.Value.lay(r.Concurrency, &to.Concurrency); err != nil {
		return err
	}
	if r.QueueTimeout.Set {
		if to.QueueTimeout, err = minutes("queueTimeout", r.QueueTimeout.Value); err != nil {
			return err
		}
	}
	if r.TotalTimeout.Set {
		to.TotalTimeout, err = minutes("totalTimeout", r.TotalTimeout.Value)
	}
	return err
}

func minutes(name string, n int64) (time.Duration, error) {
	if n < 0 || n > maxMinutes {
		return 0, invalid("%s is a number of minutes, 0 for no limit", name)
	}
	return time.Duration(n) * time.Minute, nil
}

// lay takes the whole of a concurrency: what a request leaves out falls back to its default.
func (r concurrencyRequest) lay(m member[concurrencyRequest], to *job.Concurrency) error {
	if !m.Set {
		return nil
	}
	*to = job.Concurrency{}
	if m.Null {
		return nil
	}
	limit, err := wholeNumber("concurrency.limit", r.Limit.Value)
	if err != nil || limit == 0 {
		return invalid("concurrency.limit is 1 or more")
	}
	*to = job.Concurrency{Limit: limit, Key: r.Key.Value, OnLimit: job.OnLimit(r.OnLimit.Value)}
	if to.OnLimit == "" {
		to.OnLimit = job.OnLimitQueue
	}
	return nil
}

func concurrencyShown(c job.Concurrency) *concurrencyResponse {
	if c.Limit == 0 {
		return nil
	}
	return &concurrencyResponse{Limit: c.Limit, Key: c.Key, OnLimit: string(c.OnLimit)}
}

// wholeMinutes shows a duration that was given in minutes.
func wholeMinutes(d time.Duration) int64 { return int64((d + time.Minute - 1) / time.Minute) }
