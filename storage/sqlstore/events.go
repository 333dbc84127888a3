package sqlstore

import (
	"gorm.io/gorm"

	"waybill/internal/job"
)

// note enters a change of a job's status or reason into the stream of events. Every transaction that makes one calls it
// with the row as it stands afterwards.
func note(tx *gorm.DB, row jobRow) error {
	change := job.StatusChange{
		Status: job.Status(row.Status), Reason: job.Reason(row.Reason), Taken: row.Taken, Attempt: row.Attempt,
		ReturnCode: row.ReturnCode, Worker: row.Worker, ConfigID: row.ConfigID,
	}
	if row.StartAfter != nil {
		change.StartAfter = *row.StartAfter
	}
	return noteEvent(tx, row, job.EventStatus, toJSON(change))
}

func noteEvent(tx *gorm.DB, row jobRow, kind job.EventKind, data string) error {
	_, err := run(tx, "INSERT INTO job_events (account_id, job_id, kind, data, at) VALUES (?, ?, ?, ?, ?)",
		row.AccountID, row.ID, string(kind), data, row.WrittenAt)
	return err
}
