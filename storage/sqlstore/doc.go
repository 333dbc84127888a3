// Package sqlstore keeps accounts, job configs, file keys, jobs, logins and locks in a SQL database: SQLite for one
// process on one machine, PostgreSQL for many. One type, Store, satisfies every database port of internal/control; the
// conformance suite in storage/storagetest is what both engines must pass.
//
// Every query is scoped by account. A job's status moves by compare-and-set only, with the machine of internal/job. The
// schema lives in the SQL migrations below this folder and nowhere else. Driver errors are translated in errors.go; no
// gorm type, row type or SQL text leaves the package.
//
// It imports internal/job, internal/control (for the types its ports name), gorm, goose and the two drivers.
package sqlstore
