package sqlstore

import (
	"slices"

	"waybill/internal/job"
)

// tagsAsked are the tags of which a job must have one, if that is all that a filter asks beside what the counters can answer; nil for
// another one, and for more tags than a page is put together from.
func tagsAsked(rest job.Expr) []string {
	if and, ok := rest.(job.And); ok && len(and) == 1 {
		return tagsAsked(and[0])
	}
	c, ok := rest.(job.Compare)
	if !ok || c.Property != "tags" || c.Op != job.Eq && c.Op != job.In || len(c.Values) == 0 {
		return nil
	}
	var tags []string
	for _, v := range c.Values {
		tag, err := textValue(c.Property, v)
		if err != nil {
			return nil // refused by the compiler
		}
		if !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	if 1+len(tags)*len(where(job.Status.Final)) > maxBranches {
		return nil
	}
	return tags
}

// hasTag holds for jobs that have one of the tags. It looks at the tags of each job, so it is for conditions that leave few of them.
func (s *Store) hasTag(tags []string) condition {
	// PostgreSQL would else read all jobs with the tag, to look these up among them.
	alone := ""
	if s.driver == Postgres {
		alone = " OFFSET 0"
	}
	return condition{sql: "EXISTS (SELECT 1 FROM job_tags has WHERE has.job_id = jobs.id AND has.tag IN ?" + alone + ")", args: []any{tags}}
}

// tagBranches are those of the jobs with one of the tags: the unfinished ones, and those that ended by tag and status, in the order of the list.
// Statuses that none of them has are left out where they are known. A job with two of the tags is in two branches.
func (s *Store) tagBranches(within sight, tags []string, known *census) []branch {
	scope := within.jobs("")
	some := []branch{live(scope.and(s.hasTag(tags)))}
	for _, status := range where(job.Status.Final) {
		if known != nil && !slices.ContainsFunc(known.ended, func(c classRow) bool { return c.Status == string(status) }) {
			continue
		}
		for _, tag := range tags {
			some = append(some, branch{
				condition: condition{
					sql: "account = ? AND tag = ? AND ended_as = ? AND jobs.id = job_id", args: []any{within.AccountID, tag, string(status)},
				}.and(scope),
				from: "job_tagged CROSS JOIN jobs", at: "at", id: "job_id",
			})
		}
	}
	return some
}
