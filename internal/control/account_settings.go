package control

import (
	"context"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"waybill/internal/job"
	"waybill/internal/schedule"
)

// AccountStore keeps what an account sets for itself.
type AccountStore interface {
	Account(ctx context.Context, id int64) (job.Account, error)
	// UpdateAccount stores description, largest timeout, retention and mail domains, if the stored row's Change is still
	// a's; otherwise Conflict, WordStale.
	UpdateAccount(ctx context.Context, a job.Account) (job.Account, error)
}

// AccountSettings is what people can do with their own account: everybody reads it, admins change it.
type AccountSettings struct {
	Store     AccountStore
	Retention RetentionStore
	Schedule  RetentionSchedule
	Default   job.Retention // of the system
	Every     time.Duration // pause between two runs of the retention
}

// RetentionState is what an account is told of its retention.
type RetentionState struct {
	InForce job.Retention // where a config sets no limit of its own
	Default job.Retention // the system's part of it
	Every   time.Duration
	Last    job.RetentionResult // zero before the first run
}

// RetentionState tells what is in force, and what the last run did.
func (s *AccountSettings) RetentionState(ctx context.Context, a job.Actor) (RetentionState, error) {
	account, err := s.Store.Account(ctx, a.AccountID)
	if err != nil {
		return RetentionState{}, err
	}
	last, err := s.Retention.RetentionResult(ctx, a.AccountID)
	return RetentionState{InForce: account.Retention.Over(s.Default), Default: s.Default, Every: s.Every, Last: last}, err
}

// RunRetention starts a run of the retention, unless one is under way. It goes over all accounts, as every run does.
func (s *AccountSettings) RunRetention(ctx context.Context, a job.Actor) error {
	if !a.Administers(job.Edit) {
		return job.Errorf(job.Forbidden, job.WordAccessDenied, "The retention can be run by an admin only")
	}
	return s.Schedule.RunNow(ctx)
}

// AccountInput is what can be set.
type AccountInput struct {
	Description string
	MaxTimeout  time.Duration
	Retention   job.Retention
	UserDomains []string
	TimeZone    string // IANA name; empty: UTC
}

// Get gives the actor's account.
func (s *AccountSettings) Get(ctx context.Context, a job.Actor) (job.Account, error) {
	return s.Store.Account(ctx, a.AccountID)
}

// Change reads the account, lets edit make the new input of it, and stores that. A write by somebody else in between makes
// it begin again, so that no change is lost.
func (s *AccountSettings) Change(ctx context.Context, a job.Actor, edit func(job.Account) (AccountInput, error)) (job.Account, error) {
	if err := adminOnly(a, "The account"); err != nil {
		return job.Account{}, err
	}
	const tries = 5
	for try := 1; ; try++ {
		account, err := s.Store.Account(ctx, a.AccountID)
		if err != nil {
			return job.Account{}, err
		}
		in, err := edit(account)
		if err != nil {
			return job.Account{}, err
		}
		before := account
		if err := in.fill(&account); err != nil {
			return job.Account{}, err
		}
		TrailOf(ctx).Changed(accountChanges(before, account))
		account, err = s.Store.UpdateAccount(ctx, account)
		if job.WordOf(err) != job.WordStale || try == tries {
			return account, err
		}
	}
}

func adminOnly(a job.Actor, what string) error {
	if a.Administers(job.Edit) {
		return nil
	}
	if a.Admin {
		return allowed(a, job.Edit)
	}
	return job.Errorf(job.Forbidden, job.WordAccessDenied, "%s can be changed by an admin only", what)
}

func (in AccountInput) fill(a *job.Account) error {
	switch {
	case utf8.RuneCountInString(in.Description) > maxDescription || strings.ContainsRune(in.Description, 0):
		return invalidField("description has at most %d characters and no NUL", maxDescription)
	case in.MaxTimeout < 0 || in.MaxTimeout > maxTimeout:
		return invalidField("maxTimeout is between 0 and %d minutes", int(maxTimeout.Minutes()))
	case len(in.UserDomains) > maxTags:
		return invalidField("allowedUserDomains has more than %d entries", maxTags)
	}
	if err := checkRetention(in.Retention); err != nil {
		return err
	}
	if _, err := schedule.Zone(in.TimeZone); err != nil {
		return err
	}
	var domains []string
	seen := map[string]bool{}
	for _, d := range in.UserDomains {
		d = strings.ToLower(strings.TrimSpace(d))
		if !isDomain(d) {
			return invalidField("allowedUserDomains: '%s' is not a domain name", short(d))
		}
		if !seen[d] {
			seen[d] = true
			domains = append(domains, d)
		}
	}
	a.Description, a.MaxTimeout, a.Retention, a.UserDomains, a.TimeZone = in.Description, in.MaxTimeout, in.Retention, domains, in.TimeZone
	return nil
}

// isDomain tells whether s looks like the part of a mail address behind the @ (RFC 1035, 2.3.1, with the lengths of 2.3.4).
func isDomain(s string) bool {
	if len(s) > 253 {
		return false
	}
	for _, label := range strings.Split(s, ".") {
		if label == "" || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
		for _, r := range label {
			if r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				return false
			}
		}
	}
	return true
}

// Limits of retention rules. The count is bounded because finding the last job that is kept reads an index of that length.
const (
	maxKeepAge   = 100 * 366 * 24 * time.Hour
	maxKeepCount = 1_000_000
)

func checkRetention(r job.Retention) error {
	if r.MaxAge < 0 || r.MaxAge > maxKeepAge {
		return invalidField("retention.maxAgeDays is between 0 and %d, 0 for no limit", int(maxKeepAge/(24*time.Hour)))
	}
	if r.MaxCount < 0 || r.MaxCount > maxKeepCount {
		return invalidField("retention.maxCount is between 0 and %d, 0 for no limit", maxKeepCount)
	}
	return nil
}

// withinAccount shortens a job's timeout to what its account allows; a job without one gets the account's.
func (s *Jobs) withinAccount(ctx context.Context, account int64, spec *job.Spec) error {
	a, err := s.Users.Account(ctx, account)
	if err != nil {
		return err
	}
	if a.MaxTimeout > 0 && (spec.Timeout <= 0 || spec.Timeout > a.MaxTimeout) {
		spec.Timeout = a.MaxTimeout
	}
	return nil
}
