package control

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"waybill/internal/job"
)

// DestinationStore keeps destinations.
type DestinationStore interface {
	// Destinations lists those of the account, the oldest first.
	Destinations(ctx context.Context, account int64) ([]job.Destination, error)
	// CreateDestination stores d, gives it an id and a task queue and returns it. An account has at most limit of them.
	CreateDestination(ctx context.Context, d job.Destination, limit int) (job.Destination, error)
	// UpdateDestination stores name and description.
	UpdateDestination(ctx context.Context, d job.Destination) (job.Destination, error)
	// DeleteDestination is Conflict, WordDestinationInUse, while the destination is the account's default or the one it
	// began with, a job config names it, a job on it has not ended, or a worker of it gave a sign of life since.
	DeleteDestination(ctx context.Context, account, id int64, aliveSince time.Time) error
	// SetDefaultDestination sets the account's default; 0 leaves it with the destination it began with.
	SetDefaultDestination(ctx context.Context, account, id int64) error
}

// Destinations is what people can do with destinations. Everybody of the account reads them, admins change them.
type Destinations struct {
	Store  DestinationStore
	Users  Users
	Places *Places
	Now    Clock
}

// DestinationInput is what can be set.
type DestinationInput struct {
	Name        string
	Description string
}

// destinationLimit keeps an account's list short enough to be read whole.
const destinationLimit = 1000

// Overview is a destination with how busy it is.
type Overview struct {
	job.Destination
	Workers int   // that are online
	Queued  int64 // jobs that wait for a worker, or for their time
}

// List lists the account's destinations.
func (s *Destinations) List(ctx context.Context, a job.Actor) ([]Overview, error) {
	list, err := s.Store.Destinations(ctx, a.AccountID)
	if err != nil {
		return nil, err
	}
	return s.overview(ctx, a, list)
}

// Get finds one.
func (s *Destinations) Get(ctx context.Context, a job.Actor, ref string) (Overview, error) {
	id, err := destinationID(ref)
	if err != nil {
		return Overview{}, err
	}
	d, err := s.Users.Destination(ctx, a.AccountID, id)
	if err != nil {
		return Overview{}, err
	}
	return s.one(ctx, a, d)
}

// Create makes one.
func (s *Destinations) Create(ctx context.Context, a job.Actor, in DestinationInput) (Overview, error) {
	if err := adminOnly(a, "A destination"); err != nil {
		return Overview{}, err
	}
	d := job.Destination{AccountID: a.AccountID}
	if err := in.fill(&d); err != nil {
		return Overview{}, err
	}
	d, err := s.Store.CreateDestination(ctx, d, destinationLimit)
	if err != nil {
		return Overview{}, err
	}
	s.Places.Forget(a.AccountID)
	return s.one(ctx, a, d)
}

// Replace sets name and description.
func (s *Destinations) Replace(ctx context.Context, a job.Actor, ref string, in DestinationInput) (Overview, error) {
	id, err := destinationID(ref)
	if err == nil {
		err = adminOnly(a, "A destination")
	}
	d := job.Destination{ID: id, AccountID: a.AccountID}
	if err == nil {
		err = in.fill(&d)
	}
	if err == nil {
		err = s.noteUpdate(ctx, d)
	}
	if err == nil {
		d, err = s.Store.UpdateDestination(ctx, d)
	}
	if err != nil {
		return Overview{}, err
	}
	s.Places.Forget(a.AccountID)
	return s.one(ctx, a, d)
}

// Delete removes one that nothing uses.
func (s *Destinations) Delete(ctx context.Context, a job.Actor, ref string) error {
	id, err := destinationID(ref)
	if err == nil {
		err = adminOnly(a, "A destination")
	}
	if err == nil {
		err = s.Store.DeleteDestination(ctx, a.AccountID, id, s.Now().Add(-job.WorkerSilence))
	}
	s.Places.Forget(a.AccountID)
	return err
}

// ClearDefault leaves the account with the destination it began with. only, if given, must be the one that is cleared, so
// that a client that is behind the times does not clear another's choice.
func (s *Destinations) ClearDefault(ctx context.Context, a job.Actor, only string) error {
	if err := adminOnly(a, "The account"); err != nil {
		return err
	}
	if only != "" {
		account, err := s.Users.Account(ctx, a.AccountID)
		if err != nil {
			return err
		}
		if account.Destination == 0 || strconv.FormatInt(account.Destination, 10) != only {
			return job.Errorf(job.NotFound, job.WordNotFound, "Destination %s is not the account's default", short(only))
		}
	}
	if err := s.noteDefault(ctx, a, 0); err != nil {
		return err
	}
	return s.Store.SetDefaultDestination(ctx, a.AccountID, 0)
}

// SetDefault makes one the destination of jobs whose config names none.
func (s *Destinations) SetDefault(ctx context.Context, a job.Actor, ref string) error {
	if err := adminOnly(a, "The account"); err != nil {
		return err
	}
	id, err := destinationID(ref)
	if err != nil {
		return err
	}
	if err := s.noteDefault(ctx, a, id); err != nil {
		return err
	}
	return s.Store.SetDefaultDestination(ctx, a.AccountID, id)
}

func (s *Destinations) one(ctx context.Context, a job.Actor, d job.Destination) (Overview, error) {
	list, err := s.overview(ctx, a, []job.Destination{d})
	if err != nil {
		return Overview{}, err
	}
	return list[0], nil
}

func (s *Destinations) overview(ctx context.Context, a job.Actor, list []job.Destination) ([]Overview, error) {
	view, err := s.Places.View(ctx, a.AccountID)
	if err != nil {
		return nil, err
	}
	queued, err := s.Places.Store.QueuedJobs(ctx, a.AccountID)
	if err != nil {
		return nil, err
	}
	out := make([]Overview, len(list))
	for i, d := range list {
		out[i] = Overview{Destination: d, Workers: view.Online(d.ID), Queued: queued[d.ID]}
	}
	return out, nil
}

func (in DestinationInput) fill(d *job.Destination) error {
	name := strings.TrimSpace(in.Name)
	switch {
	case name == "":
		return job.Errorf(job.Invalid, job.WordMissingField, "name is required")
	case !printable(name, maxName):
		return invalidField("name has 1 to %d characters and no control characters", maxName)
	case strings.Contains(name, "/"):
		return invalidField("name holds no '/': workers are given account/name")
	}
	if utf8.RuneCountInString(in.Description) > maxDescription || strings.ContainsRune(in.Description, 0) {
		return invalidField("description has at most %d characters and no NUL", maxDescription)
	}
	d.Name, d.Description = name, in.Description
	return nil
}

// destinationID reads an id in a path: one that is none is not found, as an unknown one is (native.md, 1.1).
func destinationID(ref string) (int64, error) {
	id, err := strconv.ParseInt(ref, 10, 64)
	if err != nil || id < 1 || strconv.FormatInt(id, 10) != ref {
		return 0, job.Errorf(job.NotFound, job.WordNotFound, "Destination %s not found", short(ref))
	}
	return id, nil
}
