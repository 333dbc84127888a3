package native

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
)

// callbackRequest is one of callbacks of native.md, 4.
type callbackRequest struct {
	URL    string         `json:"url" doc:"https or http; addresses that are not public are refused"`
	Events []string       `json:"events" doc:"Of job.started, job.completed, job.failed, job.cancelled; all if not given"`
	Secret member[string] `json:"secret" doc:"Signs the calls; never shown. Left out for a url that is there already: the stored one stays; null: unsigned"`
}

type callbackResponse struct {
	URL    string   `json:"url"`
	Events []string `json:"events"`
	Signed bool     `json:"signed" doc:"There is a secret"`
}

// layCallbacks takes the whole list. A secret travels in Secret until the use case has sealed it.
func layCallbacks(m member[[]callbackRequest], to *[]job.Callback) {
	if !m.Set {
		return
	}
	*to = nil
	for _, c := range m.Value {
		one := job.Callback{URL: c.URL, Events: c.Events, Secret: c.Secret.Value, Keep: !c.Secret.Set}
		*to = append(*to, one)
	}
}

func callbacksShown(in []job.Callback) []callbackResponse {
	var out []callbackResponse
	for _, c := range in {
		shown := callbackResponse{URL: c.URL, Events: c.Events, Signed: c.Sealed != ""}
		if len(shown.Events) == 0 {
			shown.Events = job.CallbackEvents
		}
		out = append(out, shown)
	}
	return out
}

// deliveryResponse is what was, or is to be, told to somebody outside.
type deliveryResponse struct {
	ID          string            `json:"id"`
	Href        string            `json:"href"`
	Kind        string            `json:"kind" doc:"webhook or mail"`
	Event       string            `json:"event"`
	URL         string            `json:"url,omitempty"`
	Recipients  []string          `json:"recipients,omitempty"`
	Status      string            `json:"status" doc:"pending, delivering, delivered or failed"`
	Round       int               `json:"round" doc:"1, and one more with each redelivery"`
	Attempts    int               `json:"attempts" doc:"Over all rounds"`
	NextAttempt string            `json:"nextAttempt,omitempty"`
	StatusCode  int               `json:"statusCode,omitempty" doc:"What the other side answered last"`
	Error       string            `json:"error,omitempty" doc:"Why the last attempt failed"`
	Created     string            `json:"created"`
	Finished    string            `json:"finished,omitempty"`
	Log         []deliveryAttempt `json:"log,omitempty" doc:"The attempts, newest first; of one delivery only"`
}

type deliveryAttempt struct {
	Number     int    `json:"number"`
	Round      int    `json:"round"`
	Time       string `json:"time"`
	Duration   string `json:"duration"`
	StatusCode int    `json:"statusCode,omitempty"`
	Error      string `json:"error,omitempty"`
	Reply      string `json:"reply,omitempty" doc:"The first KiB of the answer"`
}

type (
	deliveryInput struct {
		JobPath
		Delivery string `path:"delivery" doc:"24 hex digits"`
	}
	deliveriesReply struct {
		Body struct {
			Items []deliveryResponse `json:"items"`
		}
	}
	deliveryReply struct{ Body deliveryResponse }
)

func (d *door) deliveryRoutes() {
	op := func(method, path, summary string) huma.Operation {
		return huma.Operation{Method: method, Path: path, Summary: summary, Tags: []string{"Callbacks"}}
	}
	operation(d, bearer, op("GET", "/jobs/{id}/deliveries", "What was told to callbacks and by mail about a job"), d.listDeliveries)
	operation(d, bearer, op("GET", "/jobs/{id}/deliveries/{delivery}", "One of them with its attempts"), d.getDelivery)
	again := op("POST", "/jobs/{id}/deliveries/{delivery}/redeliver", "Deliver again what was delivered or failed")
	again.DefaultStatus = http.StatusAccepted
	operation(d, bearer, again, d.redeliver)
}

func (d *door) listDeliveries(ctx context.Context, in *jobInput) (*deliveriesReply, error) {
	c := d.call(ctx)
	list, err := d.server.Deliveries.List(ctx, c.Actor, in.ID)
	if err != nil {
		return nil, err
	}
	reply := &deliveriesReply{}
	reply.Body.Items = make([]deliveryResponse, 0, len(list))
	for _, one := range list {
		reply.Body.Items = append(reply.Body.Items, c.delivery(one))
	}
	return reply, nil
}

func (d *door) getDelivery(ctx context.Context, in *deliveryInput) (*deliveryReply, error) {
	c := d.call(ctx)
	found, err := d.server.Deliveries.Get(ctx, c.Actor, in.ID, in.Delivery)
	if err != nil {
		return nil, err
	}
	attempts, err := d.server.Deliveries.Attempts(ctx, found)
	if err != nil {
		return nil, err
	}
	reply := &deliveryReply{c.delivery(found)}
	for _, a := range attempts {
		reply.Body.Log = append(reply.Body.Log, deliveryAttempt{
			Number: a.Number, Round: a.Round, Time: c.date(a.At), Duration: isoDuration(a.Duration), StatusCode: a.Code, Error: a.Error, Reply: a.Reply,
		})
	}
	return reply, nil
}

func (d *door) redeliver(ctx context.Context, in *deliveryInput) (*deliveryReply, error) {
	c := d.call(ctx)
	again, err := d.server.Deliveries.Redeliver(ctx, c.Actor, in.ID, in.Delivery)
	if err != nil {
		return nil, err
	}
	return &deliveryReply{c.delivery(again)}, nil
}

func (c call) delivery(d job.Delivery) deliveryResponse {
	r := deliveryResponse{
		ID: d.ID, Href: c.href("jobs/" + string(d.JobID) + "/deliveries/" + d.ID), Kind: string(d.Kind), Event: d.Event,
		Status: string(d.Status), Round: d.Round, Attempts: d.Attempts, NextAttempt: c.date(d.NextAt), StatusCode: d.Code, Error: d.Error,
		Created: c.date(d.CreatedAt), Finished: c.date(d.FinishedAt),
	}
	if d.Kind == job.DeliveryMail {
		r.Recipients = strings.Split(d.Target, ", ")
	} else {
		r.URL = d.Target
	}
	return r
}

// Renderer writes jobs as this door shows them, for callbacks: outside of any call.
func Renderer(baseURL func() string, rfc3339 bool, now func() time.Time) func(job.Job) ([]byte, error) {
	return func(j job.Job) ([]byte, error) {
		c := call{
			Request: &api.Request{Time: now()}, style: style{rfc3339: rfc3339, base: strings.TrimRight(baseURL(), "/")},
			look: func() *control.PlacesView { return nil }, // whether a worker is there says nothing of what happened
		}
		return json.Marshal(c.job(j))
	}
}
