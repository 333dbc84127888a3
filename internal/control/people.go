package control

import (
	"context"
	"net/mail"
	"slices"
	"strings"
	"time"

	"waybill/internal/job"
)

// People is what users of an account can do with its users: admins look after all of them, others after themselves.
type People struct {
	Users     Users
	Store     UserStore
	Directory UserDirectory
	History   LoginHistory
	Jobs      JobReader
	Configs   ConfigReader
	Sessions  *Sessions
	Hasher    Hashing
	// Elsewhere tells that users can sign in without a password of ours.
	Elsewhere bool
	// MailBinds tells that who shows a user's mail address at the identity provider becomes that user (MatchEmail): then admins alone set it.
	MailBinds bool
	Now       Clock
}

// UserInput is what can be set of a user.
type UserInput struct {
	Name     string
	Password string
	Active   *bool // nil: as it is
	Admin    *bool
	Person   job.Person
}

// maxPerson bounds each text that is known of a person, in characters.
const maxPerson = 255

// maxUsersAtOnce bounds a bulk call.
const maxUsersAtOnce = 1000

func stamp(c Clock) time.Time { return c().UTC().Truncate(time.Microsecond) }

// List lists the account's users, to others than admins themselves alone.
func (s *People) List(ctx context.Context, a job.Actor, q job.Query) (job.List[job.User], error) {
	if err := allowed(a, job.View); err != nil {
		return job.List[job.User]{}, err
	}
	q.Scope = job.Scope{AccountID: a.AccountID, OwnerID: a.User.ID}
	if a.Administers(job.View) {
		q.Scope.OwnerID = 0
	}
	return s.Directory.ListUsers(ctx, q)
}

// Get finds one.
func (s *People) Get(ctx context.Context, a job.Actor, ref string) (job.User, error) {
	return s.find(ctx, a, ref, job.View)
}

// find finds one with whom the actor may do something: themselves, and everybody for admins.
func (s *People) find(ctx context.Context, a job.Actor, ref string, v job.Verb) (job.User, error) {
	id, err := userID(ref)
	if err != nil {
		return job.User{}, err
	}
	u, err := s.Users.User(ctx, a.AccountID, id)
	if err == nil {
		err = allowed(a, v)
	}
	if err == nil && v != job.View && a.Key.Lesser() {
		err = job.Errorf(job.Forbidden, job.WordAccessDenied, "A key of fewer scopes or for single job configs does not change users")
	}
	if err == nil && !a.Administers(v) && id != a.User.ID {
		err = job.Errorf(job.Forbidden, job.WordAccessDenied, "User %d is somebody else: an admin may %s them", id, verbWords[v])
	}
	if err != nil {
		return job.User{}, err
	}
	return u, nil
}

// userID reads an id in a path: one that is none is not found, as an unknown one is (native.md, 1.1).
func userID(ref string) (int64, error) {
	id, err := destinationID(ref)
	if err != nil {
		return 0, job.Errorf(job.NotFound, job.WordNotFound, "User %s not found", short(ref))
	}
	return id, nil
}

// Create makes a user of the actor's account.
func (s *People) Create(ctx context.Context, a job.Actor, in UserInput) (job.User, error) {
	if err := adminInPerson(a, "A user"); err != nil {
		return job.User{}, err
	}
	u := job.User{AccountID: a.AccountID, Name: in.Name, Active: true, CreatedBy: a.User, CreatedAt: stamp(s.Now)}
	switch {
	case in.Name == "":
		return u, job.Errorf(job.Invalid, job.WordMissingField, "username is required")
	case !plainName(in.Name):
		return u, invalidField("username has 1 to 64 letters, digits, '-', '_', '.' or '@'")
	case in.Password == "" && !s.Elsewhere:
		return u, job.Errorf(job.Invalid, job.WordMissingField, "password is required")
	}
	if err := in.fill(&u); err != nil {
		return u, err
	}
	changes := differences{{Field: "name", After: u.Name}, {Field: "role", After: roleOf(u.Admin)}, {Field: "active", After: yesNo(u.Active)}}
	if in.Password != "" {
		var err error
		if u.PasswordHash, err = hashNew(ctx, s.Hasher, in.Password, namesOf(u)...); err != nil {
			return u, err
		}
		changes.add("password", "", auditSet)
	}
	TrailOf(ctx).Changed(changes)
	return s.Store.CreateUser(ctx, u)
}

// namesOf is what of a user a password is not to be made of.
func namesOf(u job.User) []string { return []string{u.Name, u.Email, u.FirstName, u.LastName} }

func (in UserInput) fill(u *job.User) error {
	p := in.Person
	for _, f := range []struct {
		name string
		text *string
	}{
		{"email", &p.Email}, {"firstName", &p.FirstName}, {"lastName", &p.LastName}, {"street", &p.Street}, {"city", &p.City},
		{"state", &p.State}, {"postalCode", &p.PostalCode}, {"country", &p.Country},
	} {
		if *f.text = strings.TrimSpace(*f.text); *f.text != "" && !printable(*f.text, maxPerson) {
			return invalidField("%s has at most %d characters and no control characters", f.name, maxPerson)
		}
	}
	if p.Email != "" {
		if address, err := mail.ParseAddress(p.Email); err != nil || address.Address != p.Email {
			return invalidField("email is a mail address such as ann@example.com")
		}
	}
	u.Person = p
	if in.Active != nil {
		u.Active = *in.Active
	}
	if in.Admin != nil {
		u.Admin = *in.Admin
	}
	return nil
}

// Replace sets what is known of a user; flags that are left out stay.
func (s *People) Replace(ctx context.Context, a job.Actor, ref string, in UserInput) (job.User, error) {
	const tries = 5
	for try := 1; ; try++ {
		before, err := s.find(ctx, a, ref, job.Edit)
		if err != nil {
			return job.User{}, err
		}
		u := before
		if err = in.mayReplace(a, u); err == nil {
			err = in.fill(&u)
		}
		if err == nil && s.MailBinds && u.Email != before.Email {
			err = mayBind(a)
		}
		if err != nil {
			return job.User{}, err
		}
		u.ModifiedBy, u.ModifiedAt = a.User, stamp(s.Now)
		TrailOf(ctx).Changed(userChanges(before, u))
		u, err = s.Directory.UpdateUser(ctx, u)
		if job.WordOf(err) != job.WordStale || try == tries {
			return u, err
		}
	}
}

// mayBind tells whether somebody may say by which address a user is found at single sign-on: that is to say who signs in as them.
func mayBind(a job.Actor) error {
	if !a.Administers(job.Edit) {
		return job.Errorf(job.Forbidden, job.WordAccessDenied, "Users are found by email at single sign-on, so an admin alone may change it")
	}
	if !a.InPerson() {
		return inPerson(a)
	}
	return nil
}

func (in UserInput) mayReplace(a job.Actor, u job.User) error {
	flags := in.Active != nil && *in.Active != u.Active || in.Admin != nil && *in.Admin != u.Admin
	switch {
	case in.Name != "" && !strings.EqualFold(in.Name, u.Name):
		return invalidField("username never changes")
	case in.Password != "":
		return invalidField("password is changed by POST /users/%d/password", u.ID)
	case flags && !a.InPerson():
		return inPerson(a)
	case flags && u.ID == a.User.ID:
		return job.Errorf(job.Forbidden, job.WordAccessDenied, "Nobody can change their own active or admin flag")
	}
	return nil
}

func userChanges(before, after job.User) []job.AuditChange {
	var d differences
	d.add("active", yesNo(before.Active), yesNo(after.Active))
	d.add("role", roleOf(before.Admin), roleOf(after.Admin))
	d.add("email", before.Email, after.Email)
	d.add("firstName", before.FirstName, after.FirstName)
	d.add("lastName", before.LastName, after.LastName)
	d.add("subject", before.SSO.ID, after.SSO.ID)
	return d
}

// SetActive lets users sign in again, or ends all their logins and lets there be no more; all of them or none.
func (s *People) SetActive(ctx context.Context, a job.Actor, refs []string, active bool) error {
	if err := adminInPerson(a, "A user"); err != nil {
		return err
	}
	switch {
	case len(refs) == 0:
		return job.Errorf(job.Invalid, job.WordMissingField, "recordIds is required")
	case len(refs) > maxUsersAtOnce:
		return invalidField("recordIds has more than %d entries", maxUsersAtOnce)
	}
	var ids []int64
	for _, ref := range refs {
		id, err := userID(ref)
		if err != nil {
			return err
		}
		if id == a.User.ID {
			return job.Errorf(job.Forbidden, job.WordAccessDenied, "Nobody can change their own active flag")
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids) // two calls at once take the rows in one order
	TrailOf(ctx).About("user", decimals(ids)...)
	TrailOf(ctx).Changed([]job.AuditChange{{Field: "active", After: yesNo(active)}})
	_, err := s.Directory.SetUsersActive(ctx, a.AccountID, ids, active, a.User, stamp(s.Now))
	return err
}

// PasswordInput is a wish for another password.
type PasswordInput struct {
	Old, New string
	Confirm  *string // nil: not given
	Address  string  // of the client
}

// SetPassword changes the actor's own password, which takes the old one and ends all other logins of the actor, or, by an admin,
// somebody else's, which ends all of theirs.
func (s *People) SetPassword(ctx context.Context, a job.Actor, ref string, in PasswordInput) error {
	u, err := s.find(ctx, a, ref, job.Edit)
	if err == nil {
		err = inPerson(a)
	}
	if err != nil {
		return err
	}
	own, keep, checked := u.ID == a.User.ID, "", ""
	switch {
	case in.New == "":
		return job.Errorf(job.Invalid, job.WordMissingField, "newPassword is required")
	case in.Confirm != nil && *in.Confirm != in.New:
		return invalidField("confirmNewPassword is not the same as newPassword")
	case own && in.Old == "":
		return job.Errorf(job.Invalid, job.WordMissingField, "oldPassword is required")
	case own && in.Old == in.New:
		return invalidField("newPassword is the old one")
	}
	if own {
		was, err := s.Sessions.check(ctx, u.Name, in.Old, in.Address, "")
		if err != nil {
			return err
		}
		keep, checked = a.Family, was.PasswordHash
	}
	hash, err := hashNew(ctx, s.Hasher, in.New, namesOf(u)...)
	if err != nil {
		return err
	}
	TrailOf(ctx).Changed([]job.AuditChange{{Field: "password", Before: auditSet, After: auditChanged}})
	_, err = s.Directory.ChangePassword(ctx, u.AccountID, u.ID, checked, hash, keep, a.User, stamp(s.Now))
	if own && job.WordOf(err) == job.WordStale { // an admin set another one meanwhile, or the provider says who signs in from now on
		return badCredentials()
	}
	return err
}

// Logins lists the attempts to sign in as a user.
func (s *People) Logins(ctx context.Context, a job.Actor, ref string, q job.Query) (job.List[job.LoginAttempt], error) {
	u, err := s.Get(ctx, a, ref)
	if err != nil {
		return job.List[job.LoginAttempt]{}, err
	}
	q.Scope = job.Scope{AccountID: a.AccountID}
	return s.History.Logins(ctx, q, u.ID)
}

// AccountLogins lists the attempts to sign in as any user of the actor's account, to its admins.
func (s *People) AccountLogins(ctx context.Context, a job.Actor, ref string, q job.Query) (job.List[job.LoginAttempt], error) {
	none := job.List[job.LoginAttempt]{}
	if ref != decimal(a.AccountID) {
		return none, job.Errorf(job.NotFound, job.WordNotFound, "Account %s not found", short(ref))
	}
	if !a.Administers(job.View) {
		return none, job.Errorf(job.Forbidden, job.WordAccessDenied, "The account's sign-ins can be read by an admin only")
	}
	q.Scope = job.Scope{AccountID: a.AccountID}
	return s.History.Logins(ctx, q, 0)
}

// UserMetrics is how much a user has done.
type UserMetrics struct {
	User       job.User
	From, To   time.Time
	Executions int64 // jobs the user submitted since From, counted up to job.CountLimit
	Time       time.Duration
	Configs    int // that the user owns, counted likewise
}

// Metrics tells how much a user has done in the time up to now.
func (s *People) Metrics(ctx context.Context, a job.Actor, ref string, back time.Duration) (UserMetrics, error) {
	u, err := s.Get(ctx, a, ref)
	if err != nil {
		return UserMetrics{}, err
	}
	m := UserMetrics{User: u, To: stamp(s.Now)}
	m.From = m.To.Add(-back)
	scope := job.Scope{AccountID: a.AccountID}
	_, stats, err := s.Jobs.Jobs(ctx, job.Query{Scope: scope, Size: 1, Stats: true, Where: job.And{
		job.Compare{Property: "submittedByUser.id", Op: job.Eq, Values: []any{decimal(u.ID)}},
		job.Compare{Property: "scheduled", Op: job.Gte, Values: []any{m.From}},
	}})
	if err != nil {
		return m, err
	}
	m.Executions = stats.Queued + stats.Running + stats.Finished + stats.Error + stats.Failed + stats.Cancelled
	m.Time = stats.TotalDuration
	configs, err := s.Configs.Configs(ctx, job.Query{Scope: scope, Size: 1, Where: job.Compare{Property: "user.id", Op: job.Eq, Values: []any{decimal(u.ID)}}})
	m.Configs = configs.Total
	return m, err
}
