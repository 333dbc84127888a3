package faults

// counters are those of a job, or of one of its steps.
type counters struct{ read, written, failed, ignored, open, resolved int64 }

func (c counters) plus(d counters) counters {
	return counters{
		c.read + d.read, c.written + d.written, c.failed + d.failed, c.ignored + d.ignored, c.open + d.open, c.resolved + d.resolved,
	}
}

// countersOf: what a job counts is the sum over its steps, its errors are counted as they lie there, and what its last program
// reported is what is stored.
func (c *check) countersOf(j *jobState) {
	var sum counters
	for _, s := range j.steps {
		sum = sum.plus(s.counters)
	}
	if j.counters != sum {
		c.wrongWith(j, "it counts %+v, its steps make %+v", j.counters, sum)
	}
	var open, resolved int64
	for record, e := range j.errors {
		if e.how == "" {
			open++
		} else {
			resolved++
		}
		for _, r := range c.runsOf[j.id] {
			if r.attempt > e.attempt {
				c.wrongWith(j, "its error of %s is that of attempt %d, and the program ran again in attempt %d", record, e.attempt, r.attempt)
			}
		}
	}
	if open != j.open || resolved != j.resolved {
		c.wrongWith(j, "it counts %d open and %d resolved errors, and has %d and %d", j.open, j.resolved, open, resolved)
	}
	c.reported(j)
}

// reported: of a program that came to its end and was the last, all it said is there.
func (c *check) reported(j *jobState) {
	if j.plan.Records == 0 || (j.status != "completed" && j.ending() != "failed/error") {
		return
	}
	read := j.plan.Records
	if j.scope == "failed_records" {
		read = len(j.given)
	}
	bad := min(j.plan.Bad, read)
	if j.read != int64(read) || j.written != int64(read-bad) || j.failed != int64(bad) {
		c.wrongWith(j, "its program reported %d records, %d failed; it counts %d read, %d written, %d failed", read, bad, j.read, j.written, j.failed)
	}
	if len(j.errors) != bad {
		c.wrongWith(j, "its program raised %d errors, it has %d", bad, len(j.errors))
	}
}

// recordsRolledUp: a record that a completed retry was given is open nowhere above it, and what a retry raised again is open
// nowhere above it either.
func (c *check) recordsRolledUp(j *jobState) {
	if j.retryOf == "" || !j.final() {
		return
	}
	for up := c.jobs[j.retryOf]; up != nil; up = c.jobs[up.retryOf] {
		for record := range j.errors {
			if e, there := up.errors[record]; there && e.how == "" {
				c.wrongWith(j, "it raised %s again, which is still open on %s above it", record, up.id)
			}
		}
		for _, record := range j.given {
			e, there := up.errors[record]
			if there && e.how == "" && j.status == "completed" {
				c.wrongWith(j, "it completed with %s, which is still open on %s above it", record, up.id)
			}
			if !there && up.id == j.retryOf {
				c.wrongWith(j, "it was given %s, which is no error of its parent %s", record, up.id)
			}
		}
	}
}
