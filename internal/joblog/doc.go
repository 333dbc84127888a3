// Package joblog writes and reads the log of a job: segments in the object store below job.LogPrefix.
//
// A segment's name is <fence>-<offset>, both padded to 20 digits: the fencing token of the attempt that wrote it and the
// place of its first byte in the job's whole log. So the names sort by attempt, then by place, and a listing alone tells
// the log's size. An attempt goes on where the one before it ended, and says so with an empty segment before it writes
// anything: from there on, what a slow worker of an older attempt still adds is not part of the log any more. The
// log is therefore, for each fence in order, its bytes up to the first offset of the next fence.
//
// It imports the standard library, internal/job, internal/control (the Object type) and cenkalti/backoff.
package joblog
