// Package e2e tests the real program the way its users meet it: it builds waybill, starts it as a process on free ports,
// and talks to it over REST, through signals, and with the temporal command. The scenarios folder holds the exchanges
// that can be read as text (steps_test.go explains the format); what needs more than that is a Go test beside them.
//
// Scenarios are numbered; the numbers that are no folder are tests in Go: 09 two accounts (isolation_test.go), 11 following
// a job (follow_test.go), 12 lists (lists_test.go), 13 secure macros (secrets_test.go). Programs of every kind, load,
// sandbox, the temporal command, starting and stopping, and crashes have files of their own.
//
// It imports the standard library only, and nothing of Waybill's own.
//
// WAYBILL_BIN names a program to test in place of one that is built here; WAYBILL_TEST_TEMPORAL_CLI names a temporal
// command in place of the one on PATH.
package e2e
