// Package schedule tells when a schedule fires: it reads cron patterns and intervals, lists the times they mean in a time
// zone, and says them in terms of calendars that a workflow engine can keep. It knows no engine: it imports the cron
// libraries, internal/job for its errors, and the standard library.
//
// The rule for clocks that change is one sentence: a pattern fires at every instant at which the clock on the wall of its
// zone shows a time that matches. So a time that is skipped in spring does not fire that day, and one that comes twice in
// autumn fires twice. docs/schedules.md tells users about it.
package schedule
