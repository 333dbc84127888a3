package sqlstore

import (
	"context"

	"waybill/internal/control"
	"waybill/internal/job"
)

// documents is job configs with what lists ask of their newest jobs.
const documents = `(SELECT c.id, c.account_id, c.owner_id, c.owner_name, c.owner_name_fold, c.object_id, c.name, c.name_key, c.description,
	c.description_fold, c.active, c.created_at, c.created_by_id, c.package_name, c.package_name_fold, coalesce(r.id, '') AS run_id,
	coalesce(r.status, '') AS run_status, r.started_at AS run_started, r.finished_at AS run_finished, coalesce(r.message, '') AS run_message,
	coalesce(r.records_written, 0) AS run_written, coalesce(r.trigger_kind, '') AS run_trigger, coalesce(r.submitted_by_name, '') AS run_user,
	r.submitted_by_id AS run_user_id, coalesce(r.finished_at - r.started_at, 0) AS run_length
	FROM job_configs c LEFT JOIN jobs r ON r.id = (SELECT j.id FROM jobs j WHERE j.account_id = c.account_id AND j.config_id = c.id
		ORDER BY j.scheduled_at DESC, j.id DESC LIMIT 1)) AS documents`

// What lists of documents show of a run and are sorted by: its status and what started it, in the words of diem.md, 3.
const (
	runWord = `(CASE run_status WHEN 'queued' THEN 'Submitted' WHEN 'running' THEN 'Running' WHEN 'cancelling' THEN 'Running'
		WHEN 'completed' THEN 'Completed' WHEN 'failed' THEN 'Failed' WHEN 'cancelled' THEN 'Stopped' ELSE 'Pending' END)`
	runBy = `(CASE run_trigger WHEN '' THEN '' WHEN 'schedule' THEN 'schedule' WHEN 'api' THEN 'user' WHEN 'retry' THEN 'user' ELSE 'apicall' END)`
)

// documentRow is a place in a list of documents.
type documentRow struct {
	ID    int64  `gorm:"column:id"`
	RunID string `gorm:"column:run_id"`
}

var documentListing = listing{
	from: documents, columns: columnsOf[documentRow](""), id: "id", idKind: kindID,
	tags:  tagTable{table: "job_config_tags", owner: "config_id", of: "documents.id"},
	order: []job.Sort{{Property: "name"}},
	props: map[string]property{
		"id":                        {kind: kindID, column: "id"},
		"objectId":                  {kind: kindText, column: "object_id"},
		"name":                      {kind: kindText, column: "name", folded: "name_key"},
		"description":               text("description", "description_fold"),
		"active":                    {kind: kindBool, column: "active"},
		"created":                   {kind: kindTime, column: "created_at"},
		"createdByUser.id":          {kind: kindID, column: "created_by_id"},
		"user.id":                   {kind: kindID, column: "owner_id"},
		"user.name":                 text("owner_name", "owner_name_fold"),
		"tags":                      {kind: kindTags},
		"runtimeConfig.packageName": text("package_name", "package_name_fold"),
		"scheduled":                 {kind: kindBool, column: "(EXISTS (SELECT 1 FROM schedules s WHERE s.config_id = documents.id))"},
		"run.status":                {kind: kindText, column: "run_status"},
		"run.word":                  {kind: kindText, column: runWord},
		"run.started":               {kind: kindTime, column: "run_started", null: true},
		"run.finished":              {kind: kindTime, column: "run_finished", null: true},
		"run.written":               {kind: kindInt, column: "run_written"},
		"run.message":               {kind: kindText, column: "run_message"},
		"run.by":                    {kind: kindText, column: runBy},
		"run.user":                  {kind: kindText, column: "(coalesce((SELECT nullif(u.email, '') FROM users u WHERE u.id = documents.run_user_id), run_user))"},
		"run.seconds":               {kind: kindInt, column: "(run_length / 1000000)"},
		"run.steps":                 {kind: kindBool, column: moreSteps("documents.run_id")},
	},
}

// Documents is control.DocumentReader's.
func (s *Store) Documents(ctx context.Context, q job.Query) (job.List[job.Document], error) {
	places, err := list(ctx, s, documentListing, q, scoped(q.Scope), func(r documentRow) (documentRow, error) { return r, nil })
	page := job.List[job.Document]{Total: places.Total, Capped: places.Capped, NotCounted: places.NotCounted, More: places.More, Next: places.Next}
	if err != nil || len(places.Items) == 0 {
		return page, err
	}
	configs, runs, steps, err := s.behindDocuments(ctx, q.Scope.AccountID, places.Items)
	if err != nil {
		return page, s.fault(ctx, err)
	}
	for _, place := range places.Items {
		c, there := configs[place.ID]
		if !there { // deleted meanwhile
			continue
		}
		page.Items = append(page.Items, job.Document{Config: c, Run: runs[place.RunID], Steps: steps[place.RunID]})
	}
	return page, nil
}

func (s *Store) behindDocuments(ctx context.Context, account int64, places []documentRow) (
	configs map[int64]job.Config, runs map[string]job.Job, steps map[string]int, err error,
) {
	db := s.reader(ctx)
	ids, runIDs := make([]int64, len(places)), make([]string, len(places))
	for i, place := range places {
		ids[i], runIDs[i] = place.ID, place.RunID
	}
	configs, runs = map[int64]job.Config{}, map[string]job.Job{}
	configRows, err := many[configRow](db, "SELECT "+configColumns+" FROM job_configs WHERE account_id = ? AND id IN ?", account, ids)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, row := range configRows {
		if configs[row.ID], err = row.config(); err != nil {
			return nil, nil, nil, err
		}
	}
	jobRows, err := many[jobRow](db, "SELECT "+jobColumns+" FROM jobs WHERE account_id = ? AND id IN ?", account, runIDs)
	if err != nil {
		return nil, nil, nil, err
	}
	for _, row := range jobRows {
		if runs[row.ID], err = row.job(); err != nil {
			return nil, nil, nil, err
		}
	}
	steps, err = s.stepCounts(ctx, runIDs)
	return configs, runs, steps, err
}

func (s *Store) stepCounts(ctx context.Context, jobs []string) (map[string]int, error) {
	type counted struct {
		JobID string
		Steps int
	}
	counts, err := many[counted](s.reader(ctx), "SELECT job_id, count(*) AS steps FROM job_steps WHERE job_id IN ? GROUP BY job_id", jobs)
	steps := map[string]int{}
	for _, c := range counts {
		steps[c.JobID] = c.Steps
	}
	return steps, err
}

// BehindJobs is control.DocumentReader's.
func (s *Store) BehindJobs(ctx context.Context, account int64, jobs []job.Job) (control.JobsBehind, error) {
	behind := control.JobsBehind{ObjectIDs: map[int64]string{}, Steps: map[job.ID]int{}}
	if len(jobs) == 0 {
		return behind, nil
	}
	ids, configs := make([]string, len(jobs)), make([]int64, len(jobs))
	for i, j := range jobs {
		ids[i], configs[i] = string(j.ID), j.ConfigID
	}
	steps, err := s.stepCounts(ctx, ids)
	if err != nil {
		return behind, s.fault(ctx, err)
	}
	for id, n := range steps {
		behind.Steps[job.ID(id)] = n
	}
	type named struct {
		ID       int64
		ObjectID string
	}
	rows, err := many[named](s.reader(ctx), "SELECT id, object_id FROM job_configs WHERE account_id = ? AND id IN ?", account, configs)
	for _, r := range rows {
		behind.ObjectIDs[r.ID] = r.ObjectID
	}
	return behind, s.fault(ctx, err)
}

var _ control.DocumentReader = (*Store)(nil)
