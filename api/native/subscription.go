package native

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"waybill/internal/control"
	"waybill/internal/job"
)

// subscriptionRequest is the vendor's SubscriptionRequest, with events and attachLog.
type subscriptionRequest struct {
	JobConfig  member[reference] `json:"jobConfig" doc:"Ignored: the path says which"`
	Active     member[bool]      `json:"active" doc:"true if not given"`
	Recipients member[[]string]  `json:"recipients" doc:"E-mail addresses"`
	Events     member[string]    `json:"events" doc:"failure (if not given), success or always"`
	AttachLog  member[bool]      `json:"attachLog" doc:"The job's log goes with the mail, its last 5 MiB at most"`
}

// subscriptionResponse is the vendor's SubscriptionResponse, with events and attachLog.
type subscriptionResponse struct {
	ID             string     `json:"id"`
	Name           string     `json:"name,omitempty"`
	Href           string     `json:"href"`
	Active         bool       `json:"active"`
	Recipients     []string   `json:"recipients"`
	Events         string     `json:"events"`
	AttachLog      bool       `json:"attachLog"`
	JobConfig      *reference `json:"jobConfig,omitempty"`
	User           *reference `json:"user,omitempty"`
	Created        string     `json:"created"`
	CreatedBy      *reference `json:"createdByUser,omitempty"`
	LastModified   string     `json:"lastModified"`
	LastModifiedBy *reference `json:"lastModifiedByUser,omitempty"`
	Warnings       []string   `json:"warnings,omitempty" doc:"mail_not_configured"`
}

type (
	subscriptionInput struct {
		ConfigPath
		JSON body[subscriptionRequest]
	}
	subscriptionReply struct {
		Location string `header:"Location"`
		Body     subscriptionResponse
	}
)

func (d *door) subscriptionRoutes() {
	op := func(method, summary string) huma.Operation {
		return huma.Operation{Method: method, Path: "/jobconfigs/{id}/subscription", Summary: summary, Tags: []string{"Callbacks"}}
	}
	put := op("POST", "Have mail sent about the jobs of a job config; replaces the subscription that is there")
	put.DefaultStatus = http.StatusCreated
	operation(d, bearer, put, d.putSubscription)
	operation(d, bearer, op("GET", "Who gets mail about the jobs of a job config"), d.getSubscription)
	operation(d, bearer, op("DELETE", "Send no more mail about the jobs of a job config"), d.deleteSubscription)
}

func (d *door) putSubscription(ctx context.Context, in *subscriptionInput) (*subscriptionReply, error) {
	c, r := d.call(ctx), in.JSON.Value
	sub, config, err := d.server.Subscriptions.Put(ctx, c.Actor, in.ID, control.SubscriptionInput{
		Inactive: r.Active.Set && !r.Active.Null && !r.Active.Value, Recipients: r.Recipients.Value,
		Events: job.SubscriptionEvents(r.Events.Value), AttachLog: r.AttachLog.Value,
	})
	if err != nil {
		return nil, err
	}
	shown := c.subscription(sub, config, d.server.Mail)
	return &subscriptionReply{Location: shown.Href, Body: shown}, nil
}

func (d *door) getSubscription(ctx context.Context, in *ConfigPath) (*subscriptionReply, error) {
	c := d.call(ctx)
	sub, config, err := d.server.Subscriptions.Get(ctx, c.Actor, in.ID)
	if err != nil {
		return nil, err
	}
	return &subscriptionReply{Body: c.subscription(sub, config, d.server.Mail)}, nil
}

func (d *door) deleteSubscription(ctx context.Context, in *ConfigPath) (*noReply, error) {
	return &noReply{}, d.server.Subscriptions.Delete(ctx, d.call(ctx).Actor, in.ID)
}

func (c call) subscription(s job.Subscription, config job.Config, mail bool) subscriptionResponse {
	id := shownID(s.ConfigID) // a config has one, so it needs no number of its own
	r := subscriptionResponse{
		ID: id, Name: config.Name, Href: c.href("jobconfigs/" + id + "/subscription"), Active: s.Active, Recipients: s.Recipients,
		Events: string(s.Events), AttachLog: s.AttachLog, JobConfig: &reference{ID: id, Name: config.Name, Href: c.href("jobconfigs/" + id)},
		User: c.user(s.CreatedBy), Created: c.date(s.CreatedAt), CreatedBy: c.user(s.CreatedBy),
		LastModified: c.date(s.ModifiedAt), LastModifiedBy: c.user(s.ModifiedBy),
	}
	if !mail {
		r.Warnings = []string{"mail_not_configured"}
	}
	return r
}
