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

// AddAll stores several files that come one behind the other: next gives each, and io.EOF at the end. Nothing is stored before the last
// has been read whole, so a body that breaks off leaves nothing behind.
func (s *Files) AddAll(ctx context.Context, a job.Actor, o FileOwner, next func() (Upload, error)) (n int, err error) {
	if err := s.Editable(ctx, a, o); err != nil {
		return 0, err
	}
	var uploads []Upload
	defer func() {
		for _, u := range uploads {
			err = errors.Join(err, discard(u.Body))
		}
	}()
	for {
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
		from := u
		u.Body = temp
		uploads = append(uploads, u)
		if _, _, err := s.spool(ctx, temp, from); err != nil {
			return 0, err
		}
	}
	for _, u := range uploads {
		if _, err := u.Body.(io.Seeker).Seek(0, io.SeekStart); err != nil {
			return n, job.Wrap(err, job.Unavailable, job.WordDependencyDown, "The upload can not be stored")
		}
		if _, err := s.Add(ctx, a, o, u); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func discard(r io.Reader) error {
	f, ok := r.(*os.File)
	if !ok {
		return nil
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
