package native

import (
	"context"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"waybill/internal/control"
	"waybill/internal/job"
)

// destinationRequest is a run location as a client writes it (native.md, 3).
type destinationRequest struct {
	Name        member[string] `json:"name" doc:"1 to 255 characters without '/', unique in the account"`
	Description member[string] `json:"description"`
}

// destinationResponse is a run location.
type destinationResponse struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Href        string `json:"href"`
	System      bool   `json:"system" doc:"The one the account began with: jobs go there when nothing else is said, and it can not be deleted"`
	Workers     int    `json:"workers" doc:"Workers that take its jobs now"`
	Queued      int64  `json:"queued" doc:"Its jobs that wait for a worker or for their time"`
	TaskQueue   string `json:"taskQueue" doc:"The Temporal task queue its workers take jobs from, for scaling by its backlog"`
}

// DestinationPath is a destination in a path.
type DestinationPath struct {
	ID string `path:"id" doc:"Id of the destination"`
}

type (
	destinationListInput   struct{ ListParams }
	destinationListReply   struct{ Body Page[destinationResponse] }
	destinationCreateInput struct{ JSON body[destinationRequest] }
	destinationWriteInput  struct {
		DestinationPath
		JSON body[destinationRequest]
	}
	destinationReply struct {
		Location string `header:"Location"`
		Body     destinationResponse
	}
	defaultDestinationInput struct {
		DestinationID string `query:"destinationId" doc:"Id of a destination of the account"`
	}
	nothingReply struct{}
)

func (d *door) destinationRoutes() {
	op := func(method, path, summary string) huma.Operation {
		return huma.Operation{Method: method, Path: path, Summary: summary, Tags: []string{"Destinations"}}
	}
	created := op("POST", "/destinations", "Make a destination (admins)")
	created.DefaultStatus = 201
	gone := op("DELETE", "/destinations/{id}", "Delete a destination that nothing uses (admins)")
	gone.DefaultStatus = 204
	cleared := op("DELETE", "/account/destination", "Leave the account with the destination it began with (admins)")
	cleared.DefaultStatus = 204
	operation(d, bearer, op("GET", "/destinations", "List destinations"), d.listDestinations)
	operation(d, bearer, created, d.createDestination)
	operation(d, bearer, op("GET", "/destinations/{id}", "Get a destination"), d.getDestination)
	operation(d, bearer, op("PUT", "/destinations/{id}", "Replace a destination's name and description (admins)"), d.putDestination)
	operation(d, bearer, gone, d.deleteDestination)
	operation(d, bearer, op("PUT", "/account/destination", "Set the destination of jobs whose config names none (admins)"), d.putDefaultDestination)
	operation(d, bearer, cleared, d.deleteDefaultDestination)
}

func (d *door) listDestinations(ctx context.Context, in *destinationListInput) (*destinationListReply, error) {
	c := d.call(ctx)
	l, err := d.readList(c.Request, in.ListParams, listSpec{order: job.Sort{Property: "name"}, columns: []string{"name", "description"}})
	if err == nil {
		err = noCursor(l)
	}
	if err != nil {
		return nil, err
	}
	all, err := d.server.Destinations.List(ctx, c.Actor)
	if err != nil {
		return nil, err
	}
	list, err := pageOfAll(all, l.query, "id", destinationProperty)
	if err != nil {
		return nil, err
	}
	return &destinationListReply{envelope(d, c.style, l, list, c.destinationShown)}, nil
}

func destinationProperty(o control.Overview) func(string) (any, error) {
	return func(name string) (any, error) {
		switch name {
		case "id":
			return o.ID, nil
		case "name":
			return o.Name, nil
		case "description":
			return o.Description, nil
		case "system":
			return o.System, nil
		case "workers":
			return int64(o.Workers), nil
		case "queued":
			return o.Queued, nil
		}
		return nil, unknownProperty(name)
	}
}

func (d *door) createDestination(ctx context.Context, in *destinationCreateInput) (*destinationReply, error) {
	c := d.call(ctx)
	o, err := d.server.Destinations.Create(ctx, c.Actor, in.JSON.Value.input())
	if err != nil {
		return nil, err
	}
	shown := c.destinationShown(o)
	return &destinationReply{Location: shown.Href, Body: shown}, nil
}

func (d *door) getDestination(ctx context.Context, in *DestinationPath) (*destinationReply, error) {
	c := d.call(ctx)
	o, err := d.server.Destinations.Get(ctx, c.Actor, in.ID)
	return &destinationReply{Body: c.destinationShown(o)}, err
}

func (d *door) putDestination(ctx context.Context, in *destinationWriteInput) (*destinationReply, error) {
	c := d.call(ctx)
	o, err := d.server.Destinations.Replace(ctx, c.Actor, in.ID, in.JSON.Value.input())
	return &destinationReply{Body: c.destinationShown(o)}, err
}

func (d *door) deleteDestination(ctx context.Context, in *DestinationPath) (*nothingReply, error) {
	return &nothingReply{}, d.server.Destinations.Delete(ctx, d.call(ctx).Actor, in.ID)
}

func (d *door) putDefaultDestination(ctx context.Context, in *defaultDestinationInput) (*accountReply, error) {
	c := d.call(ctx)
	if in.DestinationID == "" {
		return nil, job.Errorf(job.Invalid, job.WordMissingField, "destinationId is required")
	}
	if err := d.server.Destinations.SetDefault(ctx, c.Actor, in.DestinationID); err != nil {
		return nil, err
	}
	a, err := d.server.Account.Get(ctx, c.Actor)
	return &accountReply{c.account(a)}, err
}

func (d *door) deleteDefaultDestination(ctx context.Context, in *defaultDestinationInput) (*nothingReply, error) {
	return &nothingReply{}, d.server.Destinations.ClearDefault(ctx, d.call(ctx).Actor, in.DestinationID)
}

func (r destinationRequest) input() control.DestinationInput {
	return control.DestinationInput{Name: r.Name.Value, Description: r.Description.Value}
}

func (s style) destinationShown(o control.Overview) destinationResponse {
	id := strconv.FormatInt(o.ID, 10)
	return destinationResponse{
		ID: id, Name: o.Name, Description: o.Description, Href: s.href("destinations/" + id), System: o.System, Workers: o.Workers,
		Queued: o.Queued, TaskQueue: o.TaskQueue,
	}
}
