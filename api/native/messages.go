package native

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/url"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"waybill/api"
	"waybill/internal/job"
)

type (
	messageListInput struct {
		JobPath
		ListParams
	}
	messageInput struct {
		JobPath
		Name string `path:"messagename" doc:"Name of the message"`
	}
	messageListReply struct{ Body Page[messageResponse] }
	messageReply     struct{ Body messageResponse }
)

// messageResponse is the vendor's TextMessage. Where a job is shown it comes without the body.
type messageResponse struct {
	Name       string            `json:"name"`
	Body       *string           `json:"body,omitempty" doc:"Left out where a job is shown; GET the href for it"`
	Properties []messageProperty `json:"properties,omitempty"`
	Href       string            `json:"href,omitempty"`
	Size       *int64            `json:"size,omitempty" doc:"Bytes of the body"`
	Created    string            `json:"created,omitempty"`
}

// messageRequest is the vendor's TextMessage as a client sends it.
type messageRequest struct {
	Name       string            `json:"name"`
	Body       string            `json:"body"`
	Properties []messageProperty `json:"properties"`
}

// messageProperty is the vendor's Property.
type messageProperty struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func (d *door) messageRoutes() {
	op := func(path, summary string) huma.Operation {
		return huma.Operation{Method: "GET", Path: path, Summary: summary, Tags: []string{"Jobs"}}
	}
	operation(d, bearer, op("/jobs/{id}/out", "List the messages a job gave"), d.listMessages)
	operation(d, bearer, op("/jobs/{id}/out/{messagename}", "Get a message a job gave"), d.getMessage)
	operation(d, bearer, binary(op("/jobs/{id}/out/{messagename}/text", "Get the body of a message a job gave"), "text/plain"), d.getMessageText)
}

// listMessages pages in memory what is short, and reads the bodies of the page only.
func (d *door) listMessages(ctx context.Context, in *messageListInput) (*messageListReply, error) {
	c := d.call(ctx)
	l, err := d.readList(c.Request, in.ListParams, listSpec{order: job.Sort{Property: "name"}, columns: []string{"name"}})
	if err != nil {
		return nil, err
	}
	if err := noCursor(l); err != nil {
		return nil, err
	}
	all, err := d.server.Jobs.OutMessages(ctx, c.Actor, in.ID)
	if err != nil {
		return nil, err
	}
	list, err := pageOfAll(all, l.query, "name", messageProperties)
	if err != nil {
		return nil, err
	}
	for i, m := range list.Items {
		full, err := d.server.Jobs.OutMessage(ctx, c.Actor, in.ID, m.Name)
		switch {
		case err == nil:
			list.Items[i] = full
		case job.CodeOf(err) != job.NotFound: // a new attempt of the job has begun
			return nil, err
		}
	}
	return &messageListReply{
		envelope(d, c.style, l, list, func(m job.OutMessage) messageResponse { return c.message(in.ID, m, true) }),
	}, nil
}

func messageProperties(m job.OutMessage) func(string) (any, error) {
	return func(name string) (any, error) {
		switch name {
		case "name":
			return m.Name, nil
		case "size":
			return m.Size, nil
		case "created":
			return m.ToldAt, nil
		}
		return nil, unknownProperty(name)
	}
}

func (d *door) getMessage(ctx context.Context, in *messageInput) (*messageReply, error) {
	c := d.call(ctx)
	m, err := d.server.Jobs.OutMessage(ctx, c.Actor, in.ID, in.Name)
	if err != nil {
		return nil, err
	}
	return &messageReply{c.message(in.ID, m, true)}, nil
}

func (d *door) getMessageText(ctx context.Context, in *messageInput) (*streamReply, error) {
	m, err := d.server.Jobs.OutMessage(ctx, d.call(ctx).Actor, in.ID, in.Name)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(m.Body))
	return &streamReply{Body: func(hc huma.Context) {
		c := api.Gin(hc)
		c.Header("Content-Type", "text/plain; charset=utf-8")
		c.Header("ETag", `"`+hex.EncodeToString(sum[:])+`"`)
		c.Header("Cache-Control", "private, no-cache")
		d.server.ServeContent(c, api.Content{
			Size: int64(len(m.Body)), Digest: base64.StdEncoding.EncodeToString(sum[:]),
			Open: func(offset, length int64) (io.ReadCloser, error) {
				text := m.Body[offset:]
				if length >= 0 {
					text = text[:length]
				}
				return io.NopCloser(strings.NewReader(text)), nil
			},
		})
	}}, nil
}

func (s style) message(id string, m job.OutMessage, full bool) messageResponse {
	r := messageResponse{
		Name: m.Name, Properties: propertiesShown(m.Properties), Size: &m.Size, Created: s.date(m.ToldAt),
		Href: s.href("jobs/" + id + "/out/" + url.PathEscape(m.Name)),
	}
	if full {
		r.Body = &m.Body
	}
	return r
}

// messages shows what a job gave, without bodies: a job's reply must stay small.
func (s style) messages(j job.Job) []messageResponse {
	var out []messageResponse
	for _, m := range j.OutMessages {
		out = append(out, s.message(string(j.ID), m, false))
	}
	return out
}

func outputsShown(values []job.OutValue) map[string]json.RawMessage {
	if len(values) == 0 {
		return nil
	}
	out := make(map[string]json.RawMessage, len(values))
	for _, v := range values {
		out[v.Name] = v.Value
	}
	return out
}

func propertiesShown(in []job.MessageProperty) []messageProperty {
	var out []messageProperty
	for _, p := range in {
		out = append(out, messageProperty(p))
	}
	return out
}

// messagesOf reads in messages. The href of one that was read here is of no use to another job.
func messagesOf(in []messageRequest) []job.Message {
	var out []job.Message
	for _, m := range in {
		message := job.Message{Name: m.Name, Body: m.Body}
		for _, p := range m.Properties {
			message.Properties = append(message.Properties, job.MessageProperty(p))
		}
		out = append(out, message)
	}
	return out
}

// inMessagesShown gives back what a config hands to its jobs.
func inMessagesShown(in []job.Message) []messageResponse {
	var out []messageResponse
	for _, m := range in {
		out = append(out, messageResponse{Name: m.Name, Body: &m.Body, Properties: propertiesShown(m.Properties)})
	}
	return out
}
