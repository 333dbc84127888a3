// Package faults is the randomized fault test: the real program and worker processes under load, while random things go wrong
// with them, and afterwards one question after another about every single job. docs/testing.md says how to run it, and how to
// run it again with the seed of a run that failed.
//
// plan_test.go is what jobs do, driver_test.go what clients do, faults_test.go what goes wrong, check_test.go and its
// neighbours what must be true in the end. The program folder holds what the jobs run.
//
// It imports the standard library, the Temporal client, the drivers of both databases and toxiproxy, and nothing of Waybill's
// own but the helper that makes a database for a test: it looks at the tables with eyes of its own.
package faults
