// Package activities holds what Waybill's workflows have done outside of them, one activity a file: ExecutePackage runs a
// job's program, SettleJob writes an outcome nobody else wrote, RollUpRetry completes the results above a retry.
//
// Every activity may be repeated at any time: writes to a job's row are compare-and-set by the attempt's fencing token,
// objects are stored under names that hold the token, and the settle and roll-up transactions are idempotent.
//
// It imports internal/job, workflows/contract, internal/runner, internal/joblog, internal/control (port types), the Temporal
// SDK and cenkalti/backoff. It opens no store and reads no setting: both come in through Config.
package activities
