package faults

import (
	"slices"
	"time"
)

// stay is the time in which a job's program was seen at work.
type stay struct {
	job      *jobState
	from, to time.Time
}

// lanes: jobs of one lane begin in their order, and never more of them at once than the lane has places.
func (c *check) lanes() {
	byLane := map[string][]*jobState{}
	for _, j := range c.state {
		if j.lane != "" {
			byLane[j.lane] = append(byLane[j.lane], j)
		}
	}
	for _, jobs := range byLane {
		limit := 1
		for _, j := range jobs {
			if k := c.kindOf[j.config]; k != nil && k.limit > 0 {
				limit = k.limit
			}
		}
		c.crowded(jobs, limit)
		c.inOrder(jobs, limit)
		c.firstCome(jobs)
	}
}

// stays are the times in which the programs of jobs were at work. A job that somebody else than its worker ended may have a
// program for some moments more, until its worker learns of it; it has given its place up by then.
func (c *check) stays(jobs []*jobState) (all []stay) {
	for _, j := range jobs {
		for _, r := range c.runsOf[j.id] {
			to := r.ended
			if j.final() && j.finished.Before(to) {
				to = j.finished
			}
			if r.began.Before(to) {
				all = append(all, stay{j, r.began, to})
			}
		}
	}
	slices.SortFunc(all, func(a, b stay) int { return a.from.Compare(b.from) })
	return all
}

// crowded finds moments at which more jobs were at work than there are places. Two attempts of one job count once.
func (c *check) crowded(jobs []*jobState, limit int) {
	all := c.stays(jobs)
	for n, s := range all {
		at := map[string]bool{s.job.id: true}
		for _, before := range all[:n] {
			if before.to.After(s.from) {
				at[before.job.id] = true
			}
		}
		if len(at) > limit {
			var ids []string
			for id := range at {
				ids = append(ids, id)
			}
			slices.Sort(ids)
			c.wrongWith(s.job, "%d jobs of lane %s are at work at %s, %d are allowed: %v",
				len(at), s.job.lane, clock(s.from), limit, ids)
		}
	}
}

// queue is the part of the stream of events in which a job waited in its lane.
type queue struct {
	job      *jobState
	from, to int
	left     time.Time // when it ceased to wait
	began    time.Time // its first program; zero: never
}

func (c *check) queues(jobs []*jobState) (all []queue) {
	for _, j := range jobs {
		if j.laneSeq == 0 { // it found a place at once
			continue
		}
		q := queue{job: j}
		for _, e := range j.events {
			if e.kind != "status" {
				continue
			}
			if q.from == 0 {
				q.from = e.place
			}
			if e.status.Status != "queued" || e.status.Reason != "sequenced" {
				q.to, q.left = e.place, e.at
				break
			}
		}
		if runs := c.runsOf[j.id]; len(runs) > 0 {
			q.began = runs[0].began
		}
		all = append(all, q)
	}
	return all
}

// inOrder compares jobs that waited at the same time: who came first begins first. Numbers start again when a lane was empty,
// so they tell the order of such jobs only. With several places in the lane two neighbours may be admitted at once and their
// programs be seen in either order, so a job may be overtaken by as many as there are further places.
func (c *check) inOrder(jobs []*jobState, limit int) {
	all := c.queues(jobs)
	for _, a := range all {
		var overtakers []string
		for _, b := range all {
			if a.job == b.job || b.to < a.from || a.to < b.from {
				continue
			}
			if a.job.laneSeq == b.job.laneSeq {
				c.wrongWith(a.job, "it waits in lane %s with number %d, and so does %s", a.job.lane, a.job.laneSeq, b.job.id)
			}
			if a.job.laneSeq < b.job.laneSeq && !a.began.IsZero() && !b.began.IsZero() && b.began.Before(a.began) {
				overtakers = append(overtakers, b.job.id)
			}
		}
		if len(overtakers) >= limit {
			c.wrongWith(a.job, "it waits in lane %s with number %d, and jobs behind it began before it: %v", a.job.lane, a.job.laneSeq, overtakers)
		}
	}
}

// firstCome compares jobs as the clients saw them: when a job had been accepted before the call for another one was made, and
// waits after that was answered, then the other one waits behind it.
func (c *check) firstCome(jobs []*jobState) {
	all := c.queues(jobs)
	for _, j := range jobs {
		later := c.promises[j.id]
		for _, q := range all {
			first := c.promises[q.job.id]
			if later == nil || first == nil || !first.answered.Before(later.sent) || !q.left.After(later.answered) {
				continue
			}
			if j.laneSeq == 0 {
				c.wrongWith(j, "it was given a place in lane %s while job %s waited", j.lane, q.job.id)
			} else if j.laneSeq < q.job.laneSeq {
				c.wrongWith(j, "it waits in lane %s with number %d, before job %s, which came first and has number %d",
					j.lane, j.laneSeq, q.job.id, q.job.laneSeq)
			}
		}
	}
}
