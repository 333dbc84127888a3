package native

import (
	"context"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"waybill/internal/control"
	"waybill/internal/job"
)

// apiKeyRequest asks for an API key (native.md, 2).
type apiKeyRequest struct {
	Name        string      `json:"name" doc:"1 to 255 characters"`
	Description string      `json:"description,omitempty"`
	Form        string      `json:"form,omitempty" doc:"jwt, which clients of the DIEM door expect, or opaque; jwt if not given"`
	Expires     member[any] `json:"expires" doc:"A date; in a year if not given, ten years at most"`
	Scopes      []string    `json:"scopes,omitempty" doc:"Any of run, read and write; all if not given"`
	Resources   []string    `json:"resources,omitempty" doc:"Ids of the only job configs the key is for; all if not given"`
}

// apiKeyResponse is an API key without the key, but in the reply that made it.
type apiKeyResponse struct {
	ID          string     `json:"id"`
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Href        string     `json:"href"`
	Org         string     `json:"org" doc:"Name of the account"`
	Form        string     `json:"form" doc:"jwt or opaque"`
	Scopes      []string   `json:"scopes"`
	Resources   []string   `json:"resources,omitempty"`
	User        *reference `json:"user,omitempty" doc:"Who made it, and as whom it acts"`
	Parent      string     `json:"parent,omitempty" doc:"Id of the API key that it was made with: it is revoked with that one"`
	Created     string     `json:"created"`
	Expires     string     `json:"expires"`
	LastUsed    string     `json:"lastUsed,omitempty" doc:"To about a minute"`
	Key         string     `json:"key,omitempty" doc:"Shown this once"`
}

// APIKeyPath is an API key in a path.
type APIKeyPath struct {
	ID string `path:"id" doc:"Id of the API key"`
}

type (
	apiKeyInput     struct{ JSON body[apiKeyRequest] }
	apiKeyListInput struct{ ListParams }
	apiKeyListReply struct{ Body Page[apiKeyResponse] }
	apiKeyReply     struct {
		Location string `header:"Location"`
		Body     apiKeyResponse
	}
)

func (d *door) apiKeyRoutes() {
	op := func(method, path, summary string) huma.Operation {
		return huma.Operation{Method: method, Path: path, Summary: summary, Tags: []string{"API keys"}}
	}
	create := op("POST", "/apikeys", "Make an API key that acts as the caller")
	create.DefaultStatus = 201
	revoke := op("DELETE", "/apikeys/{id}", "Revoke an API key and the keys that were made with it; they are dead at once")
	revoke.DefaultStatus = 204
	operation(d, bearer, create, d.createAPIKey)
	operation(d, bearer, op("GET", "/apikeys", "List the caller's API keys; for admins those of the account"), d.listAPIKeys)
	operation(d, bearer, op("GET", "/apikeys/{id}", "Get an API key's record"), d.getAPIKey)
	operation(d, bearer, revoke, d.revokeAPIKey)
}

func (d *door) createAPIKey(ctx context.Context, in *apiKeyInput) (*apiKeyReply, error) {
	c := d.call(ctx)
	b := in.JSON.Value
	input := control.APIKeyInput{Name: b.Name, Description: b.Description, Form: job.KeyForm(strings.ToLower(b.Form)), Resources: b.Resources}
	for _, scope := range b.Scopes {
		input.Scopes = append(input.Scopes, job.KeyScope(scope))
	}
	var err error
	if input.Expires, err = dateMember("expires", b.Expires); err != nil {
		return nil, err
	}
	k, text, err := d.server.Keys.Create(ctx, c.Actor, input)
	if err != nil {
		return nil, err
	}
	shown := c.apiKey(k)
	shown.Key = text
	return &apiKeyReply{Location: shown.Href, Body: shown}, nil
}

func (d *door) listAPIKeys(ctx context.Context, in *apiKeyListInput) (*apiKeyListReply, error) {
	c := d.call(ctx)
	l, err := d.readList(c.Request, in.ListParams, listSpec{order: job.Sort{Property: "name"}, columns: []string{"id", "name", "description"}})
	if err != nil {
		return nil, err
	}
	list, err := d.server.Keys.List(ctx, c.Actor, l.query)
	if err != nil {
		return nil, err
	}
	return &apiKeyListReply{envelope(d, c.style, l, list, c.apiKey)}, nil
}

func (d *door) getAPIKey(ctx context.Context, in *APIKeyPath) (*apiKeyReply, error) {
	c := d.call(ctx)
	k, err := d.server.Keys.Get(ctx, c.Actor, in.ID)
	if err != nil {
		return nil, err
	}
	return &apiKeyReply{Body: c.apiKey(k)}, nil
}

func (d *door) revokeAPIKey(ctx context.Context, in *APIKeyPath) (*nothingReply, error) {
	return &nothingReply{}, d.server.Keys.Revoke(ctx, d.call(ctx).Actor, in.ID)
}

func (s style) apiKey(k job.APIKey) apiKeyResponse {
	r := apiKeyResponse{
		ID: k.ID, Name: k.Name, Description: k.Description, Href: s.href("apikeys/" + k.ID), Org: k.Org, Form: string(k.Form), Scopes: []string{},
		User: s.user(k.Maker), Parent: k.Parent, Created: s.date(k.CreatedAt), Expires: s.date(k.ExpiresAt), LastUsed: s.date(k.UsedAt),
	}
	for _, scope := range k.Scopes {
		r.Scopes = append(r.Scopes, string(scope))
	}
	for _, config := range k.Configs {
		r.Resources = append(r.Resources, shownID(config))
	}
	return r
}
