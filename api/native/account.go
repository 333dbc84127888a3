package native

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"waybill/internal/control"
	"waybill/internal/job"
)

// accountRequest is the vendor's AccountRequest with additions of ours.
type accountRequest struct {
	AllowedUserDomains member[[]string]         `json:"allowedUserDomains" doc:"Stored and given back, without effect"`
	Description        member[string]           `json:"description"`
	MaxTimeout         member[int64]            `json:"maxTimeout" doc:"Minutes. Upper limit of a job's timeout, also for jobs without one; 0: no limit"`
	TimeZone           member[string]           `json:"timeZone" doc:"IANA name, such as America/Chicago: what wall clocks mean where nothing else is said; UTC if not given"`
	Retention          member[retentionRequest] `json:"retention" doc:"How long finished jobs are kept, where their config sets no limit of its own"`
}

type retentionRequest struct {
	MaxAgeDays member[int64] `json:"maxAgeDays" doc:"Days since the job ended; 0: no limit"`
	MaxCount   member[int64] `json:"maxCount" doc:"Finished jobs kept, those that ended last; 0: no limit"`
}

// accountResponse is the vendor's AccountResponse with additions of ours.
type accountResponse struct {
	ID                 string             `json:"id"`
	Name               string             `json:"name"`
	Href               string             `json:"href"`
	CustomerID         string             `json:"customerId"`
	DestinationID      string             `json:"destinationId,omitempty"`
	AllowedUserDomains []string           `json:"allowedUserDomains"`
	Description        string             `json:"description,omitempty"`
	MaxTimeout         int64              `json:"maxTimeout,omitempty" doc:"Minutes"`
	TimeZone           string             `json:"timeZone,omitempty"`
	Retention          *retentionResponse `json:"retention,omitempty"`
	Created            string             `json:"created"`
}

type retentionResponse struct {
	MaxAgeDays float64 `json:"maxAgeDays,omitempty"`
	MaxCount   int     `json:"maxCount,omitempty"`
}

type (
	accountInput      struct{}
	accountWriteInput struct{ JSON body[accountRequest] }
	accountReply      struct{ Body accountResponse }
	retentionReply    struct{ Body retentionStateResponse }
)

// retentionStateResponse is what is in force and what the last run did.
type retentionStateResponse struct {
	Retention *retentionResponse    `json:"retention,omitempty" doc:"In force for the jobs of configs without limits of their own"`
	Default   *retentionResponse    `json:"default,omitempty" doc:"What the server's settings say; an account's own limits win"`
	Interval  string                `json:"interval" doc:"Pause between two runs"`
	LastRun   *retentionRunResponse `json:"lastRun,omitempty"`
}

// retentionRunResponse is what a run did in this account.
type retentionRunResponse struct {
	Started   string `json:"started"`
	Changed   string `json:"lastModified" doc:"When these numbers changed last"`
	Done      bool   `json:"done" doc:"It has gone through all of the account's jobs"`
	Jobs      int64  `json:"jobs"`
	Histories int64  `json:"histories" doc:"Workflow runs"`
	Objects   int64  `json:"objects"`
	Bytes     int64  `json:"bytes"`
}

func (d *door) accountRoutes() {
	op := func(method, path, summary string) huma.Operation {
		return huma.Operation{Method: method, Path: path, Summary: summary, Tags: []string{"Account"}}
	}
	operation(d, bearer, op("GET", "/account", "Get the caller's account"), d.getAccount)
	operation(d, bearer, op("PUT", "/account", "Replace what can be set of the account (admins)"), d.putAccount)
	operation(d, bearer, op("GET", "/account/retention", "What is kept of the account's jobs, and what the last run deleted"), d.getRetention)
	run := op("POST", "/account/retention/run", "Run the retention now, unless it is running (admins)")
	run.DefaultStatus = http.StatusAccepted
	operation(d, bearer, run, d.runRetention)
	operation(d, bearer, op("PATCH", "/account", "Change the members that are sent; null clears one (admins)"), d.patchAccount)
}

func (d *door) getAccount(ctx context.Context, _ *accountInput) (*accountReply, error) {
	c := d.call(ctx)
	a, err := d.server.Account.Get(ctx, c.Actor)
	return &accountReply{c.account(a)}, err
}

func (d *door) putAccount(ctx context.Context, in *accountWriteInput) (*accountReply, error) {
	return d.writeAccount(ctx, in, func(job.Account) control.AccountInput { return control.AccountInput{} })
}

func (d *door) patchAccount(ctx context.Context, in *accountWriteInput) (*accountReply, error) {
	return d.writeAccount(ctx, in, func(a job.Account) control.AccountInput {
		return control.AccountInput{
			Description: a.Description, MaxTimeout: a.MaxTimeout, Retention: a.Retention, UserDomains: a.UserDomains, TimeZone: a.TimeZone,
		}
	})
}

// writeAccount lays the request over what from makes of the account.
func (d *door) writeAccount(
	ctx context.Context, in *accountWriteInput, from func(job.Account) control.AccountInput,
) (*accountReply, error) {
	c := d.call(ctx)
	a, err := d.server.Account.Change(ctx, c.Actor, func(a job.Account) (control.AccountInput, error) {
		return in.JSON.Value.input(from(a))
	})
	if err != nil {
		return nil, err
	}
	return &accountReply{c.account(a)}, nil
}

func (r *accountRequest) input(in control.AccountInput) (control.AccountInput, error) {
	lay(r.AllowedUserDomains, &in.UserDomains)
	lay(r.Description, &in.Description)
	lay(r.TimeZone, &in.TimeZone)
	if r.MaxTimeout.Set {
		if r.MaxTimeout.Value < 0 || r.MaxTimeout.Value > maxMinutes {
			return in, invalid("maxTimeout is a number of minutes, 0 for no limit")
		}
		in.MaxTimeout = time.Duration(r.MaxTimeout.Value) * time.Minute
	}
	return in, r.Retention.Value.lay(r.Retention, &in.Retention)
}

const day = 24 * time.Hour

// lay lays the members that were sent over to; null clears both.
func (r retentionRequest) lay(m member[retentionRequest], to *job.Retention) error {
	if !m.Set {
		return nil
	}
	if m.Null {
		*to = job.Retention{}
		return nil
	}
	if r.MaxAgeDays.Set {
		if r.MaxAgeDays.Value < 0 || r.MaxAgeDays.Value > maxMinutes/24/60 {
			return invalid("retention.maxAgeDays is a number of days, 0 for no limit")
		}
		to.MaxAge = time.Duration(r.MaxAgeDays.Value) * day
	}
	if r.MaxCount.Set {
		n, err := wholeNumber("retention.maxCount", r.MaxCount.Value)
		if err != nil {
			return err
		}
		to.MaxCount = n
	}
	return nil
}

func (s style) account(a job.Account) accountResponse {
	domains := a.UserDomains
	if domains == nil {
		domains = []string{}
	}
	id := strconv.FormatInt(a.ID, 10)
	return accountResponse{
		ID: id, Name: a.Name, Href: s.href("account"), CustomerID: id, DestinationID: shownID(a.Destination),
		AllowedUserDomains: domains, Description: a.Description, TimeZone: a.TimeZone, MaxTimeout: int64(a.MaxTimeout / time.Minute),
		Retention: retentionShown(a.Retention), Created: s.date(a.CreatedAt),
	}
}

func retentionShown(r job.Retention) *retentionResponse {
	if r == (job.Retention{}) {
		return nil
	}
	return &retentionResponse{MaxAgeDays: float64(r.MaxAge) / float64(day), MaxCount: r.MaxCount}
}

func (d *door) getRetention(ctx context.Context, _ *accountInput) (*retentionReply, error) {
	c := d.call(ctx)
	state, err := d.server.Account.RetentionState(ctx, c.Actor)
	if err != nil {
		return nil, err
	}
	shown := retentionStateResponse{
		Retention: retentionShown(state.InForce), Default: retentionShown(state.Default), Interval: isoDuration(state.Every),
	}
	if last := state.Last; !last.Started.IsZero() {
		shown.LastRun = &retentionRunResponse{
			Started: c.date(last.Started), Changed: c.date(last.Written), Done: last.Done,
			Jobs: last.Jobs, Histories: last.Histories, Objects: last.Objects, Bytes: last.Bytes,
		}
	}
	return &retentionReply{shown}, nil
}

func (d *door) runRetention(ctx context.Context, _ *accountInput) (*okReply, error) {
	return &okReply{}, d.server.Account.RunRetention(ctx, d.call(ctx).Actor)
}
