package activities

import (
	"context"
	"errors"
	"time"

	"waybill/internal/job"
	"waybill/internal/report"
	"waybill/internal/runner"
)

// Pace of reports. What a program tells shows within a second or so; an error a record raises does not cost a write each.
const (
	reportPoll   = 200 * time.Millisecond
	reportEvery  = time.Second
	reportErrors = 500 // stored at once
	lookShare    = 20  // looking at the output folder takes one part in so many of the time
)

// reporter stores what the program tells while it runs.
type reporter struct {
	x         *execution
	tail      *report.Tail
	collector *report.Collector
	run       *runner.Execution
	stored    time.Time // when the last report was
	lookAt    time.Time // when to look at the output folder again
	stop      chan bool // receives once, whether to read to the end
	done      chan error
	giveUp    context.CancelFunc
}

// startReports begins to follow what the program tells. end must be called.
func (x *execution) startReports(ctx context.Context, run *runner.Execution) *reporter {
	r := &reporter{
		x: x, run: run, tail: report.NewTail(run.Events()), stop: make(chan bool, 1), done: make(chan error, 1),
		collector: report.NewCollector(report.Config{Job: x.in.JobID, Mask: run.Mask, Now: x.a.cfg.Now, ReadFile: run.ReadFile}),
	}
	r.tail.SeenBy(run.EventsSeen)
	ctx, r.giveUp = context.WithCancel(context.WithoutCancel(ctx)) // a cancelled job's program goes on telling until it ends
	go func() { r.done <- r.follow(ctx) }()
	return r
}

// end stores the rest, if it is wanted: of an attempt that is given up, nothing more is. The error is that of the first
// report that could not be stored.
func (r *reporter) end(rest bool) error {
	defer r.giveUp()
	r.stop <- rest
	if rest {
		return <-r.done
	}
	r.giveUp() // a database that is away must not hold a worker up that stops
	<-r.done
	return nil
}

func (r *reporter) follow(ctx context.Context) error {
	ticker := time.NewTicker(reportPoll)
	defer ticker.Stop()
	for {
		select {
		case rest := <-r.stop:
			if !rest {
				return nil
			}
			return r.drain(ctx)
		case <-ticker.C:
			if err := r.catchUp(ctx); err != nil {
				<-r.stop
				return err
			}
		}
	}
}

// catchUp reads what is there now, and stores it unless the last report was a moment ago. A message is stored at once: somebody
// may wait for it.
func (r *reporter) catchUp(ctx context.Context) error {
	r.look()
	for more := true; more && len(r.stop) == 0; {
		more = r.read(ctx)
		if r.collector.Errors() >= reportErrors || r.collector.Urgent() || time.Since(r.stored) >= reportEvery {
			if err := r.store(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// look lists the output folder, every second or, where that takes long, so rarely that it costs little.
func (r *reporter) look() {
	began := time.Now()
	if began.Before(r.lookAt) {
		return
	}
	r.collector.Files(r.run.FilesNow())
	r.lookAt = time.Now().Add(max(reportEvery, lookShare*time.Since(began)))
}

func (r *reporter) drain(ctx context.Context) error {
	for more := true; more; {
		more = r.read(ctx)
		if more && r.collector.Errors() < reportErrors {
			continue
		}
		if !more {
			r.tail.Last(r.collector)
			if r.x.job.Spec.Answer {
				r.collector.Answer(r.run.Answer())
			}
			r.collector.Expect(r.x.job.Spec.OutMessageNames)
		}
		if err := r.store(ctx); err != nil {
			return err
		}
	}
	return nil
}

// read tells whether there is more. A file that can not be read costs the job its reports, not its life.
func (r *reporter) read(ctx context.Context) (more bool) {
	more, err := r.tail.Read(r.collector)
	if err != nil {
		r.x.a.cfg.Log.WarnContext(ctx, "reports not read", "job", r.x.in.JobID, "error", err)
		r.collector.Limit("the file could not be read")
	}
	return more && err == nil
}

func (r *reporter) store(ctx context.Context) error {
	if !r.collector.Pending() {
		return nil
	}
	told := r.collector.Take()
	err := r.x.a.repeat(ctx, func() error {
		ctx, done := context.WithTimeout(ctx, tryTimeout)
		defer done()
		return r.x.a.cfg.Run.Report(ctx, r.x.in.AccountID, r.x.in.JobID, r.x.fence, told)
	})
	r.stored = time.Now()
	r.x.a.ring(r.x.in.JobID)
	return err
}

// wantsReports tells whether what the program told will count: not when the job runs again.
func (x *execution) wantsReports(stopped bool) bool {
	cause := context.Cause(x.watch.ctx)
	return !stopped || !errors.Is(cause, errGone) && !errors.Is(cause, errInterrupted)
}

// retryPage is how many records are read at once: each may have 32 KiB.
const retryPage = 100

// records gives the records a retry is to do again; nil for every other job.
func (x *execution) records() func(yield func(job.RetryRecord) error) error {
	if x.job.RetryScope != job.RetryFailedRecords {
		return nil
	}
	return func(yield func(job.RetryRecord) error) error {
		after := ""
		for {
			var page []job.RetryRecord
			err := x.a.repeat(x.watch.ctx, func() (err error) {
				page, err = x.a.cfg.Run.RetryRecords(x.watch.ctx, x.in.AccountID, x.in.JobID, after, retryPage)
				return err
			})
			if err != nil || len(page) == 0 {
				return err
			}
			for _, r := range page {
				if err := yield(r); err != nil {
					return err
				}
			}
			after = page[len(page)-1].RecordID
		}
	}
}
