//go:build record

package workflows_test

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"

	"waybill/internal/job"
	"waybill/workflows/contract"
)

func (s *stage) ref() job.LaneRef {
	return job.LaneRef{AccountID: s.in.AccountID, Lane: s.in.Lane}
}

func (s *stage) registerLane(w worker.Worker) {
	w.RegisterActivityWithOptions(func(context.Context, contract.AdvanceInput) (contract.LaneStatus, error) {
		call := int(s.calls.Add(1))
		status := s.advance(call)
		status.Lane = s.in.Lane
		s.looks <- call
		return status, nil
	}, activity.RegisterOptions{Name: contract.AdvanceLane})
	w.RegisterActivityWithOptions(func(context.Context, contract.ExpireInput) (contract.ExpireResult, error) {
		return s.expire(s, int(s.calls.Add(1))), nil
	}, activity.RegisterOptions{Name: contract.ExpireJob})
	w.RegisterActivityWithOptions(func(context.Context, contract.PokeInput) error { return nil },
		activity.RegisterOptions{Name: contract.PokeLane})
}

// looked waits until AdvanceLane was called so often.
func (s *stage) looked(times int) {
	for {
		select {
		case got := <-s.looks:
			if got >= times {
				return
			}
		case <-s.ctx.Done():
			s.Fatalf("the lane has not looked %d times", times)
		}
	}
}

func (s *stage) poke() {
	if err := s.starter.PokeLane(s.ctx, s.ref()); err != nil {
		s.Fatal(err)
	}
}

func (s *stage) admit() {
	if err := s.starter.Admit(s.ctx, s.in.JobID); err != nil {
		s.Fatal(err)
	}
}

// through is a lane with one place that lets the jobs through one by one, and is empty in the end.
func through(jobs ...job.ID) func(int) contract.LaneStatus {
	return func(call int) contract.LaneStatus {
		head := jobs[min(call, len(jobs)):]
		status := contract.LaneStatus{Places: 1, Active: 1, Waiting: len(head), Head: head}
		if call <= len(jobs) {
			status.Told = jobs[call-1 : call]
		}
		return status
	}
}

// full never moves until the call.
func full(until int) func(int) contract.LaneStatus {
	return func(call int) contract.LaneStatus {
		if call >= until {
			return contract.LaneStatus{Places: 1}
		}
		return contract.LaneStatus{Places: 1, Active: 1, Waiting: 1, Head: []job.ID{"69b9209b00000000000000d1"}}
	}
}

func inLane(in *contract.JobInput) { in.Lane, in.LaneSeq, in.Waiting = "config:44", 12, true }

func isLane(in *contract.JobInput) { in.Lane = "record:" + in.TaskQueue }

// expires is a row that ExpireJob finds without a worker.
func expires(s *stage, _ int) contract.ExpireResult {
	return contract.ExpireResult{Ended: true, Job: s.result(job.Failed, job.ReasonTimeout)}
}

func laneTakes() []take {
	return []take{
		{name: "lane_job", adjust: inLane, execute: succeeds, people: (*stage).admit},
		{name: "lane_job_placed", adjust: func(in *contract.JobInput) { inLane(in); in.Waiting = false }, execute: succeeds},
		{name: "lane_job_cancelled", adjust: inLane, execute: succeeds, people: (*stage).cancel},
		{name: "lane_job_told_and_cancelled", adjust: inLane, late: true, execute: succeeds, people: func(s *stage) { s.admit(); s.cancel() }},
		{name: "lane_job_queue_timeout", execute: succeeds, expire: expires, adjust: func(in *contract.JobInput) {
			inLane(in)
			in.QueueUntil, in.Deadline = time.Now().Add(time.Second), time.Now().Add(time.Hour)
		}},
		{name: "lane_job_retry", retry: true, adjust: inLane, execute: succeeds, people: func(s *stage) {
			for s.starter.Admit(s.ctx, s.in.JobID) != nil && s.ctx.Err() == nil { // until the child has started
			}
		}},
		{name: "limits_kept", execute: succeeds, expire: expires, adjust: func(in *contract.JobInput) {
			in.QueueUntil, in.Deadline = time.Now().Add(time.Hour), time.Now().Add(time.Hour)
		}},
		{name: "queue_timeout_taken", execute: failsFirst(3 * time.Second), adjust: func(in *contract.JobInput) {
			in.QueueUntil = time.Now().Add(time.Second)
		}, expire: func(s *stage, _ int) contract.ExpireResult {
			return contract.ExpireResult{Job: s.result(job.Queued, "")}
		}},
		{name: "deadline", execute: failsFirst(time.Hour), expire: expires, adjust: func(in *contract.JobInput) {
			in.Deadline = time.Now().Add(time.Second)
		}},
		// A negative grace takes the overtime back.
		{name: "deadline_worker_lost", execute: failsFirst(time.Hour), adjust: func(in *contract.JobInput) {
			in.Deadline, in.Grace = time.Now().Add(time.Second), -44*time.Second
		}, expire: func(s *stage, _ int) contract.ExpireResult {
			return contract.ExpireResult{Job: s.result(job.Running, "")}
		}},
		{name: "lane", lane: true, adjust: isLane, advance: through("69b9209b00000000000000d1", "69b9209b00000000000000d2"), people: func(s *stage) {
			for n := 1; n <= 2; n++ {
				s.looked(n)
				s.poke()
			}
		}},
		{name: "lane_nudge", lane: true, adjust: isLane, advance: func(call int) contract.LaneStatus {
			status := contract.LaneStatus{Places: 1, Active: 1}
			if call < 3 {
				status.Untold = 1
			}
			return status
		}},
		{name: "lane_pokes", lane: true, adjust: isLane, advance: full(5), people: func(s *stage) {
			for n := 1; n <= 4; n++ {
				s.looked(n)
				for range 30 {
					if s.calls.Load() < 4 {
						s.poke()
					}
				}
			}
			s.poke()
		}},
		{name: "lane_cancelled", lane: true, adjust: isLane, advance: full(100), people: func(s *stage) {
			s.looked(1)
			if err := s.c.CancelWorkflow(s.ctx, contract.LaneWorkflowID(s.in.AccountID, s.in.Lane), ""); err != nil {
				s.Fatal(err)
			}
		}},
		// The server suggests to continue as new after as few events as testdata/histories/README.md tells it.
		{name: "lane_continued", lane: true, adjust: isLane, advance: full(24), people: func(s *stage) {
			first := s.c.GetWorkflow(s.ctx, contract.LaneWorkflowID(s.in.AccountID, s.in.Lane), "").GetRunID()
			for n := 1; n < 24; n++ {
				s.looked(n)
				s.poke()
			}
			s.saveRun("lane_continued_first", contract.LaneWorkflowID(s.in.AccountID, s.in.Lane), first)
		}},
	}
}
