// Package runner runs packages: it keeps unpacked packages in a content-addressed cache, makes a private folder for
// every attempt, starts the entry point in a sandbox, captures its output, ends it with everything it started, and
// hands over the files it left.
//
// What an entry point may be is native API specification, section 5 ("Runner contract"); what holds it back is
// internal/sandbox.
//
// It imports the standard library, internal/archive, internal/environments, internal/job, internal/joblog, internal/macro, internal/runtimes,
// internal/sandbox, gofrs/flock and golang.org/x/sys. It knows neither stores nor Temporal.
package runner
