package control

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"time"

	"waybill/internal/job"
)

// Errors lists the record errors of a job.
func (s *Jobs) Errors(ctx context.Context, a job.Actor, ref string, q job.Query) (job.List[job.RecordError], error) {
	j, err := s.Get(ctx, a, ref)
	if err != nil {
		return job.List[job.RecordError]{}, err
	}
	return s.Records.Errors(ctx, j.AccountID, j.ID, q)
}

// ResolveErrors says of open errors that they are dealt with, and counts those that were open. all takes every one.
func (s *Jobs) ResolveErrors(ctx context.Context, a job.Actor, ref string, records []string, all bool) (int64, error) {
	j, err := s.For(ctx, a, ref, job.Execute)
	if err != nil {
		return 0, err
	}
	switch {
	case all && len(records) > 0:
		return 0, invalidField("recordIds and all do not go together")
	case all:
		records = nil
	case len(records) == 0:
		return 0, job.Errorf(job.Invalid, job.WordMissingField, "recordIds is required")
	}
	if err := checkRecords(records); err != nil {
		return 0, err
	}
	n, err := s.Mending.ResolveErrors(ctx, j.AccountID, j.ID, records, a.User, s.Now().UTC().Truncate(time.Microsecond))
	if err == nil {
		s.Bell.Ring(j.ID)
	}
	return n, err
}

func checkRecords(records []string) error {
	if len(records) > job.MaxRetryChoice {
		return invalidField("recordIds names more than %d records", job.MaxRetryChoice)
	}
	for _, r := range records {
		if r == "" || len(r) > job.MaxRecordID {
			return job.Errorf(job.Invalid, job.WordUnknownRecord, "'%s' is no record id: it has 1 to %d bytes", short(r), job.MaxRecordID)
		}
	}
	return nil
}

// ErrorData gives the record of an error as the next retry would send it.
func (s *Jobs) ErrorData(ctx context.Context, a job.Actor, ref, record string) (job.RecordData, error) {
	j, err := s.Get(ctx, a, ref)
	if err != nil {
		return job.RecordData{}, err
	}
	return s.Records.ErrorData(ctx, j.AccountID, j.ID, record)
}

// SetErrorData replaces the record that the next retry sends. data is JSON.
func (s *Jobs) SetErrorData(ctx context.Context, a job.Actor, ref, record string, data []byte) (job.RecordData, error) {
	j, err := s.For(ctx, a, ref, job.Execute)
	if err != nil {
		return job.RecordData{}, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, data); err != nil {
		return job.RecordData{}, job.Wrap(err, job.Invalid, job.WordInvalidField, "data is not JSON")
	}
	if compact.Len() > job.MaxRecordData {
		return job.RecordData{}, job.Errorf(job.TooLarge, job.WordTooLarge, "data has more than %d bytes", job.MaxRecordData)
	}
	return s.Mending.SetErrorData(ctx, j.AccountID, j.ID, record, compact.Bytes(), s.Now().UTC().Truncate(time.Microsecond))
}

// prepareScope finds what the scope of a retry needs besides the parent's snapshot: the step to begin with, the records.
// The store looks at the records again when it accepts the job.
func (s *Jobs) prepareScope(ctx context.Context, parent job.Job, r *RetryRequest, spec *job.Spec) error {
	spec.RetryStep = ""
	switch r.Scope {
	case job.RetryFailedStep:
		steps, err := s.Reader.Steps(ctx, parent.AccountID, parent.ID)
		if err != nil {
			return err
		}
		spec.RetryStep = job.FirstFailed(steps)
	case job.RetryFailedRecords:
		if err := checkRecords(r.RecordIDs); err != nil {
			return err
		}
		// One row for each id: the same one twice is one record.
		slices.Sort(r.RecordIDs)
		r.RecordIDs = slices.Compact(r.RecordIDs)
	}
	return nil
}
