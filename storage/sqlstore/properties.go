package sqlstore

import (
	"strings"

	"waybill/internal/job"
)

// briefConfigColumns are configColumns without what may be large.
var briefConfigColumns = strings.NewReplacer(" runtime,", " '{}' AS runtime,", " rules,", " '{}' AS rules,").Replace(configColumns)

// kind is how a property's values are written by clients and stored.
type kind int

const (
	kindText    kind = iota // '' is absent
	kindStatus              // job.Status
	kindInt                 // may be NULL
	kindID                  // an id shown as a decimal string; 0 is absent
	kindMinutes             // shown in minutes, stored in nanoseconds; 0 is absent
	kindBool
	kindTime // may be NULL
	kindTags
)

// property is one name of the native API that lists can be filtered and sorted by.
type property struct {
	kind   kind
	column string
	folded string // SQL of the lower-case value, for like and for sorting; "": the column itself is folded or needs none
	null   bool   // the column may be NULL
	sparse bool   // most rows have ''; an index holds the others
}

// text is a property whose _fold column holds the lower-case value where it differs.
func text(column, foldColumn string) property {
	return property{kind: kindText, column: column, folded: "coalesce(" + foldColumn + ", " + column + ")"}
}

// listing is one thing that can be listed.
type listing struct {
	from    string
	columns string
	id      string // breaks ties
	idKind  kind
	order   []job.Sort // when the query brings none
	tags    tagTable
	props   map[string]property
	// indexed names the SQLite index over unfinished rows, for queries that ask for those only.
	indexed string
}

var configListing = listing{
	from: "job_configs", columns: configColumns, id: "id", idKind: kindID, tags: configTags,
	order: []job.Sort{{Property: "name"}},
	props: map[string]property{
		"id":                        {kind: kindID, column: "id"},
		"objectId":                  {kind: kindText, column: "object_id"},
		"name":                      {kind: kindText, column: "name", folded: "name_key"},
		"description":               text("description", "description_fold"),
		"active":                    {kind: kindBool, column: "active"},
		"created":                   {kind: kindTime, column: "created_at"},
		"createdByUser.id":          {kind: kindID, column: "created_by_id"},
		"createdByUser.name":        text("created_by_name", "created_by_fold"),
		"lastModified":              {kind: kindTime, column: "modified_at"},
		"lastModifiedByUser.id":     {kind: kindID, column: "modified_by_id"},
		"lastModifiedByUser.name":   text("modified_by_name", "modified_by_fold"),
		"user.id":                   {kind: kindID, column: "owner_id"},
		"user.name":                 text("owner_name", "owner_name_fold"),
		"tags":                      {kind: kindTags},
		"runtimeConfig.packageName": text("package_name", "package_name_fold"),
		"runtimeConfig.entryPoint":  text("entry_point", "entry_point_fold"),
		"timeout":                   {kind: kindMinutes, column: "timeout"},
		"destination.id":            {kind: kindID, column: "destination_id"},
	},
}

var jobListing = listing{
	from: "jobs", columns: jobColumns, id: "id", idKind: kindText, tags: jobTags, indexed: "jobs_unfinished",
	order: []job.Sort{{Property: "scheduled", Desc: true}},
	props: map[string]property{
		"id":                   {kind: kindText, column: "id"},
		"status":               {kind: kindStatus, column: "status"},
		"reason":               {kind: kindText, column: "reason"},
		"taken":                {kind: kindBool, column: "taken"},
		"scheduled":            {kind: kindTime, column: "scheduled_at"},
		"started":              {kind: kindTime, column: "started_at", null: true},
		"finished":             {kind: kindTime, column: "finished_at", null: true},
		"startAfter":           {kind: kindTime, column: "start_after", null: true},
		"packageName":          text("package_name", "package_name_fold"),
		"entryPoint":           text("entry_point", "entry_point_fold"),
		"returnCode":           {kind: kindInt, column: "return_code", null: true},
		"runNumber":            {kind: kindInt, column: "run_number"},
		"attempt":              {kind: kindInt, column: "attempt"},
		"tags":                 {kind: kindTags},
		"retryOf":              {kind: kindText, column: "retry_of", sparse: true},
		"rootJob":              {kind: kindText, column: "root", sparse: true},
		"worker":               text("worker", "worker_fold"),
		"jobConfig.id":         {kind: kindID, column: "config_id"},
		"jobConfig.name":       text("config_name", "config_name_fold"),
		"submittedByUser.id":   {kind: kindID, column: "submitted_by_id"},
		"submittedByUser.name": text("submitted_by_name", "submitted_by_fold"),
		"stoppedByUser.id":     {kind: kindID, column: "stopped_by_id"},
		"stoppedByUser.name":   text("stopped_by_name", "stopped_by_fold"),
		"destination.id":       {kind: kindID, column: "destination_id"},
		"lane":                 {kind: kindText, column: "lane"},
		"trigger":              {kind: kindText, column: "trigger_kind"},
		"retryScope":           {kind: kindText, column: "retry_scope"},
		"resolvedByJob":        {kind: kindText, column: "resolved_by"},
		"recordsRead":          {kind: kindInt, column: "records_read"},
		"recordsWritten":       {kind: kindInt, column: "records_written"},
		"recordsFailed":        {kind: kindInt, column: "records_failed"},
		"errorsOpen":           {kind: kindInt, column: "errors_open"},
		"moreSteps":            {kind: kindBool, column: moreSteps("jobs.id")},
		"jobConfig.objectId":   {kind: kindText, column: configOf("c.object_id")},
		"jobConfig.description": {
			kind: kindText, column: configOf("c.description"), folded: configOf("coalesce(c.description_fold, c.description)"),
		},
	},
}

// moreSteps tells whether a job has more steps than one. Its steps are looked at: of an EXISTS PostgreSQL would make a read of all steps there are.
func moreSteps(id string) string {
	return "coalesce((SELECT true FROM job_steps s WHERE s.job_id = " + id + " AND s.position > 0 LIMIT 1), false)"
}

// configOf is a value of a job's config; empty where that is gone.
func configOf(value string) string {
	return "coalesce((SELECT " + value + " FROM job_configs c WHERE c.id = jobs.config_id), '')"
}

var fileListing = listing{
	from: newestFiles, columns: fileColumns, id: "v.file_key", idKind: kindText,
	order: []job.Sort{{Property: "name"}},
	props: map[string]property{
		"name":    text("v.file_key", "k.file_key_fold"),
		"size":    {kind: kindInt, column: "v.size"},
		"created": {kind: kindTime, column: "v.created_at"},
		"depth":   {kind: kindInt, column: "(length(v.file_key) - length(replace(v.file_key, '/', '')))"},
	},
}

var versionListing = listing{
	from: "file_versions v", columns: fileColumns, id: "v.version", idKind: kindID,
	order: []job.Sort{{Property: "version", Desc: true}},
	props: map[string]property{
		"version": {kind: kindInt, column: "v.version"},
		"name":    {kind: kindText, column: "v.file_key"},
		"size":    {kind: kindInt, column: "v.size"},
		"created": {kind: kindTime, column: "v.created_at"},
	},
}

var errorListing = listing{
	from: "job_errors", columns: columnsOf[errorRow](""), id: "record_id", idKind: kindText,
	order: []job.Sort{{Property: "occurred"}},
	props: map[string]property{
		"recordId": {kind: kindText, column: "record_id"},
		"step":     {kind: kindText, column: "step"},
		"code":     {kind: kindText, column: "code"},
		"message":  text("message", "message_fold"),
		"traceKey": {kind: kindText, column: "trace_key"},
		"attempt":  {kind: kindInt, column: "attempt"},
		"occurred": {kind: kindTime, column: "occurred_at"},
		"resolved": {kind: kindBool, column: "(resolved_how <> '')"},
		"retryJob": {kind: kindText, column: "retry_job"},
	},
}
