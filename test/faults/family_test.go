package faults

import "slices"

// families: retries know their parents, follow each other, and completed the results above them.
func (c *check) families() {
	retries := map[string][]*jobState{}
	numbers := map[string]map[int]string{}
	for _, j := range c.state {
		if j.retryOf == "" {
			continue
		}
		parent := c.jobs[j.retryOf]
		if parent == nil {
			c.wrongWith(j, "its parent %s is not in the table", j.retryOf)
			continue
		}
		root := parent.root
		if root == "" {
			root = parent.id
		}
		if j.root != root {
			c.wrongWith(j, "its root is %s, its parent's is %s", j.root, root)
		}
		if numbers[root] == nil {
			numbers[root] = map[int]string{}
		}
		if twin := numbers[root][j.retryNumber]; twin != "" || j.retryNumber < 1 {
			c.wrongWith(j, "its retry number %d is also that of %q", j.retryNumber, twin)
		}
		numbers[root][j.retryNumber] = j.id
		if !j.rolledUp {
			c.wrongWith(j, "it was not rolled up")
		}
		retries[j.retryOf] = append(retries[j.retryOf], j)
	}
	for id, of := range retries {
		c.oneRetryAtATime(c.jobs[id], of)
	}
	for _, j := range c.state {
		c.resolvedBy(j)
	}
}

// oneRetryAtATime: a retry is accepted when those before it have ended, or by force.
func (c *check) oneRetryAtATime(parent *jobState, retries []*jobState) {
	slices.SortFunc(retries, func(a, b *jobState) int { return a.retryNumber - b.retryNumber })
	for n, now := range retries {
		p := c.promises[now.id]
		if p == nil || p.forced { // one that got no answer may have been forced
			continue
		}
		for _, before := range retries[:n] {
			if before.finished.After(p.answered) {
				c.wrongWith(now, "it was accepted while retry %s of the same job %s had not ended", before.id, parent.id)
			}
		}
	}
}

// resolvedBy: what a completed retry resolves is all it descends from, and those retries before it that came to nothing.
func (c *check) resolvedBy(j *jobState) {
	if j.resolvedBy != "" {
		by := c.jobs[j.resolvedBy]
		switch {
		case by == nil:
			c.wrongWith(j, "it is resolved by %s, which is not in the table", j.resolvedBy)
		case by.status != "completed" || by.scope == "failed_records":
			c.wrongWith(j, "it is resolved by %s, which is %s with scope %s", by.id, by.ending(), by.scope)
		case !c.above(by, j) && (j.root == "" || j.root != by.root || j.retryNumber > by.retryNumber || j.status == "completed"):
			c.wrongWith(j, "it is resolved by %s, which has nothing to do with it", by.id)
		}
	}
	if j.retryOf == "" || j.status != "completed" || j.scope == "failed_records" {
		return
	}
	for up := c.jobs[j.retryOf]; up != nil; up = c.jobs[up.retryOf] {
		if up.resolvedBy == "" {
			c.wrongWith(j, "it completed, and %s above it is not resolved", up.id)
		}
	}
	p := c.promises[j.id]
	for _, before := range c.state {
		// Without force it was accepted when the earlier retries of its parent had ended.
		if p != nil && !p.forced && before.retryOf == j.retryOf && before.retryNumber < j.retryNumber && before.status != "completed" &&
			before.resolvedBy == "" {
			c.wrongWith(j, "it completed, and %s before it is not resolved", before.id)
		}
	}
}

// above tells whether j is an ancestor of retry.
func (c *check) above(retry, j *jobState) bool {
	var chain []string
	for up := c.jobs[retry.retryOf]; up != nil; up = c.jobs[up.retryOf] {
		chain = append(chain, up.id)
	}
	return slices.Contains(chain, j.id)
}
