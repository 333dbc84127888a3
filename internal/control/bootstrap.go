package control

import (
	"context"
	"strings"
	"time"
	"unicode"

	"waybill/internal/job"
	"waybill/internal/password/rules"
)

// Hashing makes password hashes (internal/password).
type Hashing interface {
	Hash(ctx context.Context, password string) (string, error)
}

// Accounts makes accounts. There is no route for it: the first start and the command line call it.
type Accounts struct {
	Users  Users
	Hasher Hashing
	Now    Clock
}

// DefaultAccount is the account that the first start makes.
const DefaultAccount = "default"

// AdminName is the user that the first start makes.
const AdminName = "admin"

// HasUser tells whether a user of that name exists.
func (s *Accounts) HasUser(ctx context.Context, name string) (bool, error) {
	_, err := s.Users.UserByName(ctx, name)
	if job.CodeOf(err) == job.NotFound {
		return false, nil
	}
	return err == nil, err
}

// Create makes an account with its first admin and a default destination of the given task queue.
func (s *Accounts) Create(ctx context.Context, account, admin, password, queue string) (job.Account, job.User, error) {
	account = strings.ToLower(strings.TrimSpace(account))
	if !plainName(account) {
		return job.Account{}, job.User{}, invalidField("an account name has 1 to 64 letters, digits, '-', '_' or '.'")
	}
	if !plainName(admin) {
		return job.Account{}, job.User{}, invalidField("a user name has 1 to 64 letters, digits, '-', '_', '.' or '@'")
	}
	hash, err := hashNew(ctx, s.Hasher, password, admin, account)
	if err != nil {
		return job.Account{}, job.User{}, err
	}
	TrailOf(ctx).Changed([]job.AuditChange{{Field: "name", After: account}, {Field: "admin", After: admin}, {Field: "password", After: auditSet}})
	now := s.Now().UTC().Truncate(time.Microsecond)
	return s.Users.CreateAccount(ctx, job.Account{Name: account, CreatedAt: now}, queue,
		job.User{Name: admin, PasswordHash: hash, Admin: true, Active: true, CreatedAt: now})
}

// hashNew hashes a new password that is good enough for somebody of the names.
func hashNew(ctx context.Context, hasher Hashing, password string, names ...string) (string, error) {
	if err := rules.Check(password, names...); err != nil {
		return "", invalidField("%s", err)
	}
	hash, err := hasher.Hash(ctx, password)
	switch {
	case job.CodeOf(err) == job.RateLimited:
		return "", err
	case err != nil:
		return "", job.Wrap(err, job.Unavailable, job.WordDependencyDown, "The password can not be hashed now")
	}
	return hash, nil
}

func plainName(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.@", r)
	})
}
