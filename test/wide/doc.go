// Package wide tests Waybill run wide: its own processes (waybill api, worker, migrate) on a real PostgreSQL, a real MinIO and a real
// Temporal server whose tables are in that PostgreSQL, while processes, servers and networks fail. docs/failures.md tells what
// it found; docs/testing.md how it is run. Everything listens on loopback and is kept in one temporary folder.
//
// # What there is
//
// [components] starts the three servers once for all tests, or skips the test with what the machine lacks. PostgreSQL is that of the
// system's packages (as user postgres when the tests run as root), MinIO the binary of test/bin/with-minio, Temporal the server's
// own command with its own schema tool, built from this module's tools and kept in .ci/cache.
//
// [install] makes an installation of the test's own on them (database, bucket, namespace, master key, admin) the way an operator does, and
// starts its processes:
//
//	in := install(t, shape{apis: 2, workers: 2})  // in.apis[0], in.workers[1]; in.db and in.temporal go past all proxies
//	l := in.drive(t)                              // clients at work: starts, lanes, failures, retries, uploads, waits, a schedule
//	... something fails, and is mended ...
//	l.recovered(t, time.Now())                    // a fresh job is accepted and ends; logs how long both took
//	l.calm(t)                                     // stops the clients, waits for rest, asks what must be true
//	in.stop(t)                                    // all processes end well
//
// More processes come by in.addAPI and in.addWorker, then n.ready(ctx); commands that end by in.tool(t, input, "migrate", "up").
//
// What calm asks: every job that was accepted is in the table, all jobs have ended exactly once and as they had to, retries have
// completed their parents, no workflow is open, and no call was answered with 500, with a 503 without Retry-After, not at all
// (unless l.absent says that a process is away), or later than answerWithin.
//
// A [process], whether it is a server (in.database, in.objects, in.engine) or a node of Waybill, can be started, stopped (SIGTERM, must
// end with 0), killed (SIGKILL), frozen with all its children (SIGSTOP) and thawed; a start has the same ports and the same data.
// Every node reaches each server over a link of its own, which can be cut in three ways:
//
//	back, err := in.workers[0].links[engine].away(dropped) // or frozen, refused
//	... err = back()
//
// # Tests that share, and tests that break
//
// A test that only fails processes and links of its own installation calls t.Parallel. One that stops or freezes a server must not,
// and mends it before it ends: tests that are not parallel run one at a time, before all that are.
//
// All processes die with the test binary, however it ends (Pdeathsig). When a test fails, the folder with logs and data is kept.
package wide
