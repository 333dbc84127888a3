package sqlstore

import (
	"gorm.io/gorm"

	"waybill/internal/job"
)

type jobFileRow struct {
	JobID      string `gorm:"column:job_id"`
	AccountID  int64  `gorm:"column:account_id"`
	FileKey    string `gorm:"column:file_key"`
	Version    int    `gorm:"column:version"`
	SHA256     string `gorm:"column:sha256"`
	Size       int64  `gorm:"column:size"`
	SourceType string `gorm:"column:source_type"`
	SourceID   int64  `gorm:"column:source_id"`
}

func (jobFileRow) TableName() string { return "job_files" }

func toJobFileRow(j job.Job, f job.InputFile) jobFileRow {
	return jobFileRow{
		JobID: string(j.ID), AccountID: j.AccountID, FileKey: f.Name, Version: f.Version, SHA256: f.SHA256, Size: f.Size,
		SourceType: string(f.SourceType), SourceID: f.SourceID,
	}
}

func (r jobFileRow) input() job.InputFile {
	return job.InputFile{
		Name: r.FileKey, Version: r.Version, SHA256: r.SHA256, Size: r.Size, SourceType: job.EntityType(r.SourceType), SourceID: r.SourceID,
	}
}

func insertInputFiles(tx *gorm.DB, j job.Job) error {
	for _, f := range j.Spec.Inputs {
		if err := insert(tx, toJobFileRow(j, f)); err != nil {
			return err
		}
	}
	return nil
}

func inputFiles(tx *gorm.DB, id string) (out []job.InputFile, err error) {
	rows, err := many[jobFileRow](tx, "SELECT "+columnsOf[jobFileRow]("")+" FROM job_files WHERE job_id = ? ORDER BY file_key", id)
	for _, r := range rows {
		out = append(out, r.input())
	}
	return out, err
}
