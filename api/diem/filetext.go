package diem

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path"

	"waybill/api"
	"waybill/internal/job"
)

// fileText is a file as the vendor gives one.
type fileText struct {
	Filename    string `json:"filename"`
	ContentType string `json:"contenttype"`
	Data        string `json:"data"`
}

// filePiece is how much of a file is in memory while it is sent as text.
const filePiece = 32 << 10 // bytes

// asText gives a file as JSON with its bytes as Latin-1 text. It is written as it is read, because one character
// may become six bytes. A file of which not even the first bytes can be read is the error.
func (d *door) asText(ctx context.Context, f job.File, kind string) (answer, error) {
	r, err := d.server.Files.Open(ctx, f, 0, -1)
	if err != nil {
		return answer{}, err
	}
	piece := make([]byte, filePiece)
	n, err := io.ReadFull(r, piece)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF { //nolint:errorlint // as io.ReadFull gives them
		_ = r.Close() // it was only read
		return answer{}, job.Wrap(err, job.Unavailable, job.WordDependencyDown, "The file can not be read")
	}
	return answer{raw: func(c *call) {
		defer func() { _ = r.Close() }()
		head := bytes.TrimSuffix(asJSON(fileText{Filename: path.Base(f.Key), ContentType: kind}), []byte(`"}`))
		c.gin.Writer.Header().Set("Content-Type", "application/json")
		c.gin.Writer.WriteHeader(http.StatusOK)
		out := api.NewStream(c.gin.Writer)
		defer out.Done()
		err := sendText(out, head, io.MultiReader(bytes.NewReader(piece[:n]), r), f.Size)
		if err == nil {
			return
		}
		if c.HTTP.Context().Err() == nil { // else the client is gone
			c.Blame(job.Wrap(err, job.Unavailable, job.WordDependencyDown, "The file can not be read whole"))
		}
		panic(http.ErrAbortHandler) // a part of the file must not look like all of it
	}}, nil
}

// sendText writes a head, size bytes as the rest of a JSON text, and the end. Its error is that they can not be read, or are not as many; whether the
// client is there does not matter here.
func sendText(w io.Writer, head []byte, r io.Reader, size int64) error {
	if _, gone := w.Write(head); gone != nil {
		return nil
	}
	in := make([]byte, filePiece)
	var out []byte
	for {
		n, err := r.Read(in)
		out = out[:0]
		for _, c := range in[:n] {
			out = append(out, escaped[c]...)
		}
		if _, gone := w.Write(out); gone != nil {
			return nil
		}
		size -= int64(n)
		if err == io.EOF { //nolint:errorlint // readers give it as it is
			break
		}
		if err != nil {
			return err
		}
	}
	if size != 0 {
		return errors.New("the object has another size than its record")
	}
	_, _ = w.Write([]byte(`"}`)) // the client may be gone
	return nil
}

// escaped is each byte as a character of JSON text.
var escaped = func() (table [256]string) {
	for i := range table {
		quoted := asJSON(string(rune(i)))
		table[i] = string(quoted[1 : len(quoted)-1])
	}
	return table
}()
