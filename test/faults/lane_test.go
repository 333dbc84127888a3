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
		slices.SortFunc(jobs, func(a, b *jobState) int { return int(a.laneSeq - b.laneSeq) })
		limit := 1
		for n, j := range jobs {
			if n > 0 && j.laneSeq > 0 && jobs[n-1].laneSeq == j.laneSeq {
				c.wrongWith(j, "its place %d in lane %s is also that of %s", j.laneSeq, j.lane, jobs[n-1].id)
			}
			if k := c.kindOf[j.config]; k != nil && k.limit > 0 {
				limit = k.limit
			}
		}
		c.crowded(jobs, limit)
		c.inOrder(jobs, limit)
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
				len(at), s.job.lane, s.from.UTC().Format("15:04:05.000"), limit, ids)
		}
	}
}

// inOrder compares when jobs that had to wait were seen first with their places in the queue. With several places in the lane
// two neighbours may be admitted at once and seen in either order, so a job may be overtaken by as many as there are further
// places. One that found a place at once has no number.
func (c *check) inOrder(jobs []*jobState, limit int) {
	first := map[string]time.Time{}
	for _, j := range jobs {
		if runs := c.runsOf[j.id]; len(runs) > 0 {
			first[j.id] = runs[0].began
		}
	}
	for n, j := range jobs {
		if first[j.id].IsZero() || j.laneSeq == 0 {
			continue
		}
		var overtakers []string
		for _, later := range jobs[n+1:] {
			if at := first[later.id]; !at.IsZero() && at.Before(first[j.id]) {
				overtakers = append(overtakers, later.id)
			}
		}
		if len(overtakers) >= limit {
			c.wrongWith(j, "it has place %d in lane %s, and jobs behind it began before it: %v", j.laneSeq, j.lane, overtakers)
		}
	}
}
