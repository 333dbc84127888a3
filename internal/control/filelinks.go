package control

import (
	"context"
	"strconv"
	"time"

	"waybill/internal/job"
)

// fileEntity is an owner of files that was found.
type fileEntity struct {
	Type    job.EntityType
	ID      int64
	runtime job.RuntimeConfig // of a job config
}

// entity finds the owner of files, and sees to it that the actor may view its files, or edit them. Those of an account are
// for everybody in it to view, and for admins, and those who were given it, to edit; those of a user are that user's and the admins'.
func (s *Files) entity(ctx context.Context, a job.Actor, o FileOwner, v job.Verb) (fileEntity, error) {
	if o.Type == job.EntityJobConfig {
		c, err := s.Configs.forFiles(ctx, a, o.Ref, v)
		return fileEntity{Type: o.Type, ID: c.ID, runtime: c.Runtime}, err
	}
	id, err := strconv.ParseInt(o.Ref, 10, 64)
	if err != nil || id < 1 || strconv.FormatInt(id, 10) != o.Ref {
		return fileEntity{}, noOwner(o)
	}
	e := fileEntity{Type: o.Type, ID: id}
	switch o.Type {
	case job.EntityAccount:
		if id != a.AccountID {
			return e, noOwner(o)
		}
		if v == job.View && !a.Key.Limited() { // for everybody of the account
			return e, allowed(a, v)
		}
		if !a.May(v, job.KindAccountFiles, id, 0) {
			return e, denied(a, v, "The files of an account are its admins'")
		}
		return e, nil
	case job.EntityUser:
		if _, err := s.Users.User(ctx, a.AccountID, id); err != nil {
			if job.CodeOf(err) == job.NotFound {
				return e, noOwner(o)
			}
			return e, err
		}
		if !a.May(v, job.KindUserFiles, id, id) {
			if err := allowed(a, v); err != nil {
				return e, err
			}
			return e, job.Errorf(job.Forbidden, job.WordAccessDenied, "The files of user %d are private", id)
		}
		return e, nil
	}
	return e, noOwner(o)
}

func noOwner(o FileOwner) error {
	return job.Errorf(job.NotFound, job.WordNotFound, "No %s %s", o.Type.Noun(), short(o.Ref))
}

// Link lets a job config use a file of another entity of the account, which the actor may read. Jobs then run or get the
// file as if the config had it.
func (s *Files) Link(ctx context.Context, a job.Actor, o FileOwner, source FileOwner, key string) (job.File, error) {
	e, err := s.entity(ctx, a, o, job.Edit)
	if err != nil {
		return job.File{}, err
	}
	switch source.Type {
	case job.EntityAccount, job.EntityUser, job.EntityJobConfig:
	case "":
		return job.File{}, job.Errorf(job.Invalid, job.WordMissingField, "entityType is required")
	default:
		return job.File{}, invalidField("entityType is ACCOUNT, USER or JOBCONFIG; others have no files that can be linked")
	}
	if source.Ref == "" && source.Type == job.EntityAccount { // there is one
		source.Ref = strconv.FormatInt(a.AccountID, 10)
	}
	if source.Ref == "" {
		return job.File{}, job.Errorf(job.Invalid, job.WordMissingField, "entityId is required")
	}
	if key == "" {
		return job.File{}, job.Errorf(job.Invalid, job.WordMissingField, "fileName is required")
	}
	if err := CheckKey(key); err != nil {
		return job.File{}, err
	}
	from, err := s.entity(ctx, a, source, job.View)
	if err != nil {
		return job.File{}, err
	}
	if from.Type == e.Type && from.ID == e.ID {
		return job.File{}, invalidField("A %s can not link to a file of its own", e.Type.Noun())
	}
	link, err := s.Links.AddLink(ctx, job.FileLink{
		AccountID: a.AccountID, EntityType: e.Type, EntityID: e.ID, SourceType: from.Type, SourceID: from.ID, Key: key,
		CreatedAt: s.Now().UTC().Truncate(time.Microsecond), CreatedBy: a.User,
	})
	if err != nil {
		return job.File{}, err
	}
	f, err := s.Store.File(ctx, a.AccountID, from.Type, from.ID, key, 0)
	f.LinkID = link.ID
	return f, err
}

// Unlink takes a link away. Jobs that ran through it keep what they ran.
func (s *Files) Unlink(ctx context.Context, a job.Actor, o FileOwner, link string) error {
	e, err := s.entity(ctx, a, o, job.Edit)
	if err != nil {
		return err
	}
	id, err := strconv.ParseInt(link, 10, 64)
	if err != nil || id < 1 || strconv.FormatInt(id, 10) != link {
		return job.Errorf(job.NotFound, job.WordNotFound, "Link %s not found on %s %d", short(link), e.Type.Noun(), e.ID)
	}
	return s.Links.DeleteLink(ctx, a.AccountID, e.Type, e.ID, id)
}
