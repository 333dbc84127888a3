package control

import (
	"context"
	"errors"
	"io"
	"os"

	"waybill/internal/job"
)

// Editable checks the right to change the files of an owner.
func (s *Files) Editable(ctx context.Context, a job.Actor, o FileOwner) error {
	_, err := s.entity(ctx, a, o, job.Edit)
	return err
}

// maxUploads is how many files one call may bring.
const maxUploads = 100

// AddAll stores several files that come one behind the other: next gives each, and io.EOF at the end. Together they have no more bytes than
// one file may have. Nothing is stored before the last has been read whole and all are found good, and then all of them are or none, so a body
// that breaks off or has a bad archive, and a store that goes away meanwhile, leave nothing behind.
func (s *Files) AddAll(ctx context.Context, a job.Actor, o FileOwner, next func() (Upload, error)) (n int, err error) {
	e, err := s.entity(ctx, a, o, job.Edit)
	if err != nil {
		return 0, err
	}
	var uploads []Upload
	var bodies []spooled
	var temps []*os.File
	defer func() {
		for _, temp := range temps {
			err = errors.Join(err, temp.Close(), os.Remove(temp.Name()))
		}
	}()
	for left := s.MaxSize; ; {
		u, err := next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		if len(uploads) == maxUploads {
			return 0, invalidField("more than %d files in one call", maxUploads)
		}
		if err := CheckKey(u.Key); err != nil {
			return 0, err
		}
		temp, err := os.CreateTemp(s.Spool, "upload-")
		if err != nil {
			return 0, job.Wrap(err, job.Unavailable, job.WordDependencyDown, "The upload can not be stored")
		}
		temps = append(temps, temp)
		body, err := s.spool(ctx, temp, u, left)
		if err != nil {
			return 0, err
		}
		left -= body.size
		uploads, bodies = append(uploads, u), append(bodies, body)
	}
	for i := range bodies {
		if err := s.inspect(ctx, &bodies[i], uploads[i].Key); err != nil {
			return 0, err
		}
	}
	if last := len(uploads) - 1; last >= 0 {
		if a, e, err = s.stillMay(ctx, a, e, o, uploads[last]); err != nil {
			return 0, err
		}
	}
	files, ids, sums := make([]job.File, len(uploads)), make([]string, len(uploads)), make([]job.AuditChange, len(uploads))
	for i, u := range uploads {
		ids[i], sums[i] = fileID(e, u.Key), job.AuditChange{Field: "sha256 " + u.Key, After: bodies[i].digest}
	}
	TrailOf(ctx).About("file", ids...)
	TrailOf(ctx).Changed(sums)
	for i, u := range uploads {
		if files[i], err = s.kept(ctx, a, e, u, bodies[i]); err != nil {
			return 0, err
		}
	}
	stored, err := s.Store.AddFiles(ctx, files)
	return len(stored), err
}
