package diem

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
)

// fileRow is a row of getfiles (diem.md, 4.7).
type fileRow struct {
	CreatedBy string  `json:"createdby"`
	Created   *string `json:"createddate"`
	ID        string  `json:"id"`
	File      string  `json:"file"`
	Name      string  `json:"name"`
	Org       string  `json:"org"`
	Selector  string  `json:"selector"`
	Size      int64   `json:"size"`
	Type      string  `json:"type"`
}

// noRights is the row that getfiles gives whoever may not see the files.
const noRights = "You don't have enough rights to view files. Your role level: 20 - required: 40"

const octets = "application/octet-stream"

func (c *call) owner() control.FileOwner {
	return control.FileOwner{Type: job.EntityAccount, Ref: strconv.FormatInt(c.Actor.AccountID, 10)}
}

// filesShown bounds a list of files.
const filesShown = 1000

// getfiles lists the account's files whose keys begin with the selector and hold no further slash.
func (d *door) getfiles(ctx context.Context, c *call) (answer, error) {
	err := d.server.Files.Editable(ctx, c.Actor, c.owner())
	if job.CodeOf(err) == job.Forbidden {
		return answer{json: []struct {
			Name string `json:"name"`
		}{{noRights}}}, nil
	}
	if err != nil {
		return answer{}, err
	}
	selector := c.args.word("selector")
	rows := []fileRow{}
	if !utf8.ValidString(selector) || strings.ContainsRune(selector, 0) {
		return answer{json: rows}, nil
	}
	// A key that begins with the selector holds no further slash if it has as many.
	where := job.And{job.Compare{Property: "depth", Op: job.Eq, Values: []any{strings.Count(selector, "/")}}}
	if selector != "" {
		where = append(where,
			job.Compare{Property: "name", Op: job.Gte, Values: []any{selector}}, job.Compare{Property: "name", Op: job.Lte, Values: []any{selector + "\U0010FFFF"}})
	}
	q := job.Query{Where: where, Size: filesShown, Keyset: true, Sort: []job.Sort{{Property: "name"}}}
	for len(rows) < filesShown {
		list, err := d.server.Files.List(ctx, c.Actor, c.owner(), q)
		if err != nil {
			return answer{}, err
		}
		for _, f := range list.Items {
			if !strings.HasPrefix(f.Key, selector) || len(rows) == filesShown { // lists compare without regard to case
				continue
			}
			rows = append(rows, fileRow{
				CreatedBy: "cos", Created: date(f.CreatedAt), ID: f.Key, File: f.Key, Name: path.Base(f.Key), Org: c.key.Org, Selector: selector,
				Size: f.Size, Type: octets,
			})
		}
		if q.After = list.Next; !list.More {
			break
		}
	}
	return answer{json: rows}, nil
}

// fileupload stores every file of a form under its own name.
func (d *door) fileupload(ctx context.Context, c *call) (answer, error) {
	nothing := answer{
		status: http.StatusBadRequest, json: message{"No files have been provided"}, cause: job.Errorf(job.Invalid, job.WordMissingField, "no files"),
	}
	if err := d.server.Files.Editable(ctx, c.Actor, c.owner()); err != nil {
		return answer{}, err
	}
	kind, parameters, err := mime.ParseMediaType(c.HTTP.Header.Get("Content-Type"))
	if err != nil || !strings.HasPrefix(kind, "multipart/") {
		return nothing, nil
	}
	form := multipart.NewReader(c.HTTP.Body, parameters["boundary"])
	n, err := d.server.Files.AddAll(ctx, c.Actor, c.owner(), func() (control.Upload, error) {
		u, err := nextFile(form)
		u.Again = c.StillActor(ctx)
		return u, err
	})
	switch {
	case err != nil:
		return answer{}, err
	case n == 0:
		return nothing, nil
	}
	return answer{json: struct {
		Message string `json:"message"`
		Success bool   `json:"success"`
	}{"files Upload Started", true}}, nil
}

// nextFile is the next part of a form that is a file.
func nextFile(form *multipart.Reader) (control.Upload, error) {
	for {
		part, err := form.NextPart()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return control.Upload{}, io.EOF
			}
			return control.Upload{}, notParsed()
		}
		name := part.FileName() // without any path
		if i := strings.LastIndexAny(name, `/\`); i >= 0 {
			name = name[i+1:]
		}
		if name != "" {
			return control.Upload{Key: name, Body: body{part}, ContentType: contentType(name, part.Header.Get("Content-Type"))}, nil
		}
	}
}

// body is a part whose end before its time is the client's fault.
type body struct{ io.Reader }

func (b body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // as it is: io.ErrUnexpectedEOF is another
		return n, notParsed()
	}
	return n, err
}

// byEnding are the types of files that people move about, whatever the machine knows.
var byEnding = map[string]string{
	".csv": "text/csv", ".txt": "text/plain", ".json": "application/json", ".xml": "application/xml", ".yaml": "application/yaml", ".yml": "application/yaml",
	".html": "text/html", ".pdf": "application/pdf", ".zip": "application/zip", ".gz": "application/gzip", ".png": "image/png", ".jpg": "image/jpeg",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xls": "application/vnd.ms-excel",
}

func contentType(name, sent string) string {
	if kind, _, err := mime.ParseMediaType(sent); err == nil && kind != octets {
		return kind
	}
	if kind := byEnding[strings.ToLower(path.Ext(name))]; kind != "" {
		return kind
	}
	return octets
}

// filedownload gives a file as text in JSON, one character for each byte, or as it is.
func (d *door) filedownload(ctx context.Context, c *call) (answer, error) {
	key := c.args.text("id")
	if err := d.server.Files.Editable(ctx, c.Actor, c.owner()); err != nil {
		return answer{}, err
	}
	if !c.args.has("id") {
		return absent(undefined), nil
	}
	f, err := d.server.Files.Get(ctx, c.Actor, c.owner(), key, 0)
	switch job.CodeOf(err) {
	case job.NotFound, job.Invalid:
		return absent(key), nil
	}
	if err != nil {
		return answer{}, err
	}
	kind := contentType(f.Key, f.ContentType)
	if strings.Contains(c.HTTP.Header.Get("Accept"), octets) {
		return answer{raw: func(c *call) { d.sendFile(ctx, c, f) }}, nil
	}
	if f.Size > maxBody {
		return answer{status: http.StatusRequestEntityTooLarge, json: message{"file too large for this form"}}, nil
	}
	return d.asText(ctx, f, kind)
}

func (d *door) sendFile(ctx context.Context, c *call, f job.File) {
	h := c.gin.Writer.Header()
	h.Set("Content-Type", octets)
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(f.Key)}))
	d.server.ServeContent(c.gin, api.Content{
		Size: f.Size, Modified: f.CreatedAt,
		Open: func(offset, length int64) (io.ReadCloser, error) { return d.server.Files.Open(ctx, f, offset, length) },
	})
}

// filedelete deletes a file. One that is not there is as good as deleted, and so is none.
func (d *door) filedelete(ctx context.Context, c *call) (answer, error) {
	err := d.server.Files.Editable(ctx, c.Actor, c.owner())
	if err == nil && c.args.has("id") {
		err = d.server.Files.Delete(ctx, c.Actor, c.owner(), c.args.text("id"))
	}
	switch job.CodeOf(err) {
	case "", job.NotFound:
		return answer{json: success{true}}, nil
	}
	return answer{}, err
}
