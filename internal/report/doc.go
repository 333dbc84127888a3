// Package report reads what a running program tells about itself: JSON lines in the file that WAYBILL_EVENTS names (native.md,
// 5). A Tail gives the lines of the growing file, a Collector makes job.Reports of them. All that comes in is from a program
// and may be anything, so everything has a bound, and what is not understood is counted and told, never an error.
//
// It imports the standard library and internal/job.
package report
