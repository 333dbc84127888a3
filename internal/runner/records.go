package runner

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"waybill/internal/job"
)

// retryFile is where the records lie that a retry is given (WAYBILL_RETRY_FILE).
const retryFile = "retry.ndjson"

// layRecords writes the records as JSON lines. They go from the store to the file one by one: there may be many.
func (e *Execution) layRecords() (err error) {
	if e.req.Records == nil {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(e.dir, retryFile), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	out := bufio.NewWriter(f)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	err = e.req.Records(func(r job.RetryRecord) error {
		if err := lines.Encode(r); err != nil {
			return fmt.Errorf("record to retry: %w", err)
		}
		return nil
	})
	return errors.Join(err, out.Flush())
}

// Events is the file in which the program tells about itself. It may be read while the program runs, and until Close.
func (e *Execution) Events() *os.File { return e.events }

// Mask hides the values of the job's secure macros, and its token, in a text.
func (e *Execution) Mask(text string) string { return e.secrets.Mask(text) }

// maskError hides them in an error that will be shown.
func (e *Execution) maskError(err error) error {
	var shown *job.Error
	if !errors.As(err, &shown) || e.Mask(shown.Message) == shown.Message {
		return err
	}
	masked := *shown
	masked.Message, masked.Err = e.Mask(shown.Message), nil
	return &masked
}
