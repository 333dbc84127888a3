package sqlstore

import (
	"context"
	"encoding/json"
	"time"

	"gorm.io/gorm"

	"waybill/internal/job"
)

// What a job has told beside steps and errors: the bits of jobs.talk.
const (
	talkMessages = 1 << iota
	talkValues
	talkFiles
)

type messageRow struct {
	Name       string `gorm:"column:name"`
	Properties string `gorm:"column:properties"` // JSON, or ''
	Size       int64  `gorm:"column:size"`
	ToldAt     int64  `gorm:"column:told_at"`
}

func (r messageRow) message() (job.OutMessage, error) {
	m := job.OutMessage{Size: r.Size, ToldAt: timeOf(r.ToldAt)}
	m.Name = r.Name
	return m, fromJSON(r.Properties, &m.Properties)
}

type messageBodyRow struct {
	messageRow
	Body string `gorm:"column:body"`
}

type valueRow struct {
	Name  string `gorm:"column:name"`
	Value string `gorm:"column:value"` // JSON
}

// fileNow is an entry of job_files_now.
type fileNow struct {
	Name    string `json:"n"`
	Size    int64  `json:"s"`
	Changed int64  `json:"t"`
}

// storeTalk keeps the messages, values and files of a report.
func storeTalk(tx *gorm.DB, row jobRow, r job.Report) error {
	told := row.Talk
	for _, m := range r.Messages {
		told |= talkMessages
		properties := ""
		if len(m.Properties) > 0 {
			properties = clean(toJSON(m.Properties))
		}
		if _, err := run(tx, `
			INSERT INTO job_messages (job_id, name, properties, size, told_at, body) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (job_id, name) DO UPDATE SET properties = excluded.properties, size = excluded.size,
				told_at = excluded.told_at, body = excluded.body`,
			row.ID, clean(m.Name), properties, len(m.Body), micros(r.At), clean(m.Body)); err != nil {
			return err
		}
	}
	for _, v := range r.Values {
		told |= talkValues
		if _, err := run(tx, `
			INSERT INTO job_values (job_id, name, value) VALUES (?, ?, ?)
			ON CONFLICT (job_id, name) DO UPDATE SET value = excluded.value`, row.ID, clean(v.Name), clean(string(v.Value))); err != nil {
			return err
		}
	}
	if r.FilesSeen {
		told |= talkFiles
		now := make([]fileNow, 0, len(r.Files))
		for _, f := range r.Files {
			now = append(now, fileNow{Name: clean(f.Name), Size: f.Size, Changed: micros(f.CreatedAt)})
		}
		if _, err := run(tx, `
			INSERT INTO job_files_now (job_id, files) VALUES (?, ?) ON CONFLICT (job_id) DO UPDATE SET files = excluded.files`,
			row.ID, toJSON(now)); err != nil {
			return err
		}
	}
	if told == row.Talk {
		return nil
	}
	_, err := run(tx, "UPDATE jobs SET talk = ? WHERE id = ?", told, row.ID)
	return err
}

// hush drops what the program of an earlier attempt gave.
func hush(tx *gorm.DB, row jobRow) error {
	for bit, table := range map[int]string{talkMessages: "job_messages", talkValues: "job_values", talkFiles: "job_files_now"} {
		if row.Talk&bit == 0 {
			continue
		}
		if _, err := run(tx, "DELETE FROM "+table+" WHERE job_id = ?", row.ID); err != nil {
			return err
		}
	}
	if row.Talk == 0 {
		return nil
	}
	_, err := run(tx, "UPDATE jobs SET talk = 0 WHERE id = ?", row.ID)
	return err
}

// dropFilesNow ends the listing of a running job's files: those that are kept are in job_outputs.
func dropFilesNow(tx *gorm.DB, row jobRow) error {
	if row.Talk&talkFiles == 0 {
		return nil
	}
	_, err := run(tx, "DELETE FROM job_files_now WHERE job_id = ?", row.ID)
	return err
}

// talkOf adds to a job what it gave so far and where it is.
func talkOf(tx *gorm.DB, j *job.Job, row jobRow) (err error) {
	if j.Status == job.Running || j.Status == job.Cancelling {
		j.CurrentStep, _, err = one[string](tx, `
			SELECT name FROM job_steps WHERE job_id = ? AND finished_at IS NULL ORDER BY started_at DESC, position DESC LIMIT 1`, row.ID)
		if err != nil {
			return err
		}
	}
	if row.Talk&talkMessages != 0 {
		rows, err := many[messageRow](tx, "SELECT "+columnsOf[messageRow]("")+" FROM job_messages WHERE job_id = ? ORDER BY name", row.ID)
		if err != nil {
			return err
		}
		if j.OutMessages, err = all(rows, messageRow.message); err != nil {
			return err
		}
	}
	if row.Talk&talkValues == 0 {
		return nil
	}
	rows, err := many[valueRow](tx, "SELECT name, value FROM job_values WHERE job_id = ? ORDER BY name", row.ID)
	for _, r := range rows {
		j.OutValues = append(j.OutValues, job.OutValue{Name: r.Name, Value: json.RawMessage(r.Value)})
	}
	return err
}

// OutMessages is control.TalkReader's.
func (s *Store) OutMessages(ctx context.Context, account int64, id job.ID) ([]job.OutMessage, error) {
	return children(ctx, s, account, id, "job_messages", "name", messageRow.message)
}

// OutMessage is control.TalkReader's.
func (s *Store) OutMessage(ctx context.Context, account int64, id job.ID, name string) (job.OutMessage, error) {
	if !job.ValidID(string(id)) || clean(name) != name {
		return job.OutMessage{}, noMessage(id)
	}
	row, found, err := one[messageBodyRow](s.read.WithContext(ctx), `
		SELECT m.name, m.properties, m.size, m.told_at, m.body FROM job_messages m JOIN jobs j ON j.id = m.job_id
		WHERE m.job_id = ? AND m.name = ? AND j.account_id = ?`, string(id), name, account)
	if err != nil {
		return job.OutMessage{}, s.fault(ctx, err)
	}
	if !found {
		return job.OutMessage{}, noMessage(id)
	}
	m, err := row.message()
	m.Body = row.Body
	return m, s.fault(ctx, err)
}

func noMessage(id job.ID) error {
	return job.Errorf(job.NotFound, job.WordNotFound, "Job %s has given no message of that name", id)
}

// FilesNow is control.TalkReader's.
func (s *Store) FilesNow(ctx context.Context, account int64, id job.ID) ([]job.Output, error) {
	if !job.ValidID(string(id)) {
		return nil, noJob(id)
	}
	text, _, err := one[string](s.read.WithContext(ctx), `
		SELECT f.files FROM job_files_now f JOIN jobs j ON j.id = f.job_id WHERE f.job_id = ? AND j.account_id = ?`, string(id), account)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	var now []fileNow
	if err := fromJSON(text, &now); err != nil {
		return nil, s.fault(ctx, err)
	}
	files := make([]job.Output, 0, len(now))
	for _, f := range now {
		files = append(files, job.Output{Name: f.Name, Size: f.Size, CreatedAt: time.UnixMicro(f.Changed).UTC()})
	}
	return files, nil
}
