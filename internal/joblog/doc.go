// Package joblog writes and reads the log of a job: segments in the object store below job.LogPrefix.
//
// A segment's name is <fence>-<offset>, both padded to 20 digits: the fencing token of the attempt that wrote it and the
// place of its first byte in the job's whole log. So the names sort by attempt, then by place, and a listing alone tells
// the log's size. An attempt goes on where the one before it ended, and says so with an empty segment before it writes
// anything: from there on, what a slow worker of an older attempt still adds is not part of the log any more. The
// log is therefore, for each fence in order, its bytes up to the first offset of the next fence.
//
// Segments are made about once a second. Small ones in a row are put together: the first is stored again with all their
// bytes, then the others are deleted, so a segment that lies within the one before it is not part of the log. Of an attempt
// over its limit, segments in the middle are deleted, the first of them replaced by a line that says so; a gap between two
// names is therefore no fault. Offsets stay what they were: they count what was ever written, and followers go by them.
//
// It imports the standard library, internal/job, internal/control (the Object type) and cenkalti/backoff.
package joblog
