// Package informatica is the door for clients written for Informatica Cloud's REST API v2 (informatica.md): they log in for a session
// id, start, stop and watch jobs, and read their logs, in JSON or in XML. It has no rules of its own: a task is a job config, a run is a
// job, and everything is asked of the use cases of internal/control. It imports api, internal/control, internal/job and
// internal/schedule, and no other door.
package informatica
