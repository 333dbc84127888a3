package sqlscript

import (
	"database/sql"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"time"
	"unicode/utf8"
)

// result writes the rows of a statement: to a CSV file among the job's outputs, or the first of them into the log. It
// counts them all; none are kept.
func (r *run) result(rows *sql.Rows, file string) (n int64, err error) {
	columns, err := rows.Columns()
	if err != nil || len(columns) == 0 {
		return 0, err
	}
	write, finish := r.toLog, func() error { return nil }
	if file != "" {
		if write, finish, err = r.toCSV(file); err != nil {
			return 0, err
		}
	}
	defer func() { err = errors.Join(err, finish()) }()
	if err := write(0, columns, nil); err != nil {
		return 0, err
	}
	values, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	cells, null := make([]string, len(columns)), make([]bool, len(columns))
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return n, err
		}
		for i, v := range values {
			cells[i], null[i] = cell(v), v == nil
		}
		n++
		if err := write(n, cells, null); err != nil {
			return n, err
		}
	}
	return n, nil
}

// maxCell is how much of a value goes into the log, in characters.
const maxCell = 200

func (r *run) toLog(n int64, cells []string, null []bool) error {
	limit := int64(r.options.rows)
	if limit == 0 {
		return nil
	}
	if n > limit {
		if n == limit+1 {
			fmt.Fprintln(r.out, "   ...")
		}
		return nil
	}
	shown := make([]string, len(cells))
	for i, c := range cells {
		if runes := []rune(c); len(runes) > maxCell {
			c = string(runes[:maxCell-3]) + "..."
		}
		if shown[i] = strings.NewReplacer("\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(c); null != nil && null[i] {
			shown[i] = "NULL"
		}
	}
	fmt.Fprintln(r.out, "   "+strings.Join(shown, " | "))
	return nil
}

// toCSV opens a file in the job's output folder; it can not lead outside. NULL is an empty cell.
func (r *run) toCSV(name string) (write func(int64, []string, []bool) error, finish func() error, err error) {
	folder, _ := r.value("LOCAL_JOB_OUT_DIR")
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, nil, err
	}
	f, err := create(root, name)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("csv=%s: %w", name, err), root.Close())
	}
	w := csv.NewWriter(f)
	write = func(_ int64, cells []string, _ []bool) error { return w.Write(cells) }
	return write, func() error {
		w.Flush()
		return errors.Join(w.Error(), f.Close(), root.Close())
	}, nil
}

func create(root *os.Root, name string) (io.WriteCloser, error) {
	if dir := path.Dir(name); dir != "." {
		if err := root.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	return root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
}

func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []byte:
		if utf8.Valid(v) {
			return string(v)
		}
		return `\x` + hex.EncodeToString(v)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	default:
		return fmt.Sprint(v)
	}
}

// events are the lines by which the job tells of itself. A file that can not be written to is done without.
type events struct{ file *os.File }

func openEvents(name string) *events {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return &events{}
	}
	return &events{f}
}

func (e *events) tell(event map[string]any) {
	if e.file == nil {
		return
	}
	if text, err := json.Marshal(event); err == nil {
		_, _ = e.file.Write(append(text, '\n'))
	}
}

func (e *events) step(name, status, message string) {
	event := map[string]any{"type": "step", "name": name, "status": status}
	if message != "" {
		event["message"] = message
	}
	e.tell(event)
}

func (e *events) counters(read, written, failed int64) {
	e.tell(map[string]any{"type": "counters", "read": read, "written": written, "failed": failed})
}

func (e *events) progress(done, total int) {
	e.tell(map[string]any{"type": "progress", "done": done, "total": total})
}

func (e *events) close() {
	if e.file != nil {
		_ = e.file.Close()
	}
}
