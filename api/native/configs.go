package native

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"waybill/internal/control"
	"waybill/internal/job"
)

type (
	ConfigPath struct {
		ID string `path:"id" doc:"Decimal id, or the 24 hex digits of objectId"`
	}
	configListInput struct {
		ListParams
		OnlyFavs    flag `query:"onlyfavs" doc:"true: the caller's favourites only"`
		Active      flag `query:"active" doc:"true or false: only configs of which active is that"`
		Permissions flag `query:"permissions" doc:"true: add the caller's rights to each item"`
	}
	configCreateInput struct{ JSON body[jobConfigRequest] }
	configWriteInput  struct {
		ConfigPath
		JSON looseBody[jobConfigRequest]
	}
	bulkOperation struct {
		RecordIDs []string `json:"recordIds"`
	}
	bulkInput     struct{ JSON body[bulkOperation] }
	dropdownInput struct{ ListParams }

	configReply struct {
		Location string `header:"Location"`
		Body     jobConfigResponse
	}
	configListReply struct{ Body Page[jobConfigResponse] }
	dropdownReply   struct{ Body dropDownListResponse }
	okReply         struct{}
)

func (d *door) configRoutes() {
	tags := []string{"Job configs"}
	op := func(method, path, summary string) huma.Operation {
		return huma.Operation{Method: method, Path: path, Summary: summary, Tags: tags}
	}
	operation(d, bearer, op("GET", "/jobconfigs", "List job configs"), d.listConfigs)
	create := op("POST", "/jobconfigs", "Create a job config")
	create.DefaultStatus = http.StatusCreated
	operation(d, bearer, create, d.createConfig)
	operation(d, bearer, op("GET", "/jobconfigs/dropdown", "List job configs as references"), d.dropdown)
	activate := op("PATCH", "/jobconfigs/activate", "Activate all of the job configs, or none")
	activate.DefaultStatus = http.StatusOK
	operation(d, bearer, activate, d.setActive(true))
	deactivate := op("PATCH", "/jobconfigs/deactivate", "Deactivate all of the job configs, or none")
	deactivate.DefaultStatus = http.StatusOK
	operation(d, bearer, deactivate, d.setActive(false))
	operation(d, bearer, op("DELETE", "/jobconfigs/delete", "Delete all of the job configs, or none"), d.deleteConfigs)
	operation(d, bearer, op("GET", "/jobconfigs/{id}", "Get a job config"), d.getConfig)
	operation(
		d,
		bearer,
		op("PUT", "/jobconfigs/{id}", "Replace a job config; what is left out falls back to its default"),
		d.putConfig,
	)
	operation(
		d,
		bearer,
		op("PATCH", "/jobconfigs/{id}", "Change the members that are sent; null clears one"),
		d.patchConfig,
	)
	operation(d, bearer, op("DELETE", "/jobconfigs/{id}", "Delete a job config; its jobs stay readable"), d.deleteConfig)
}

func (d *door) listConfigs(ctx context.Context, in *configListInput) (*configListReply, error) {
	c := d.call(ctx)
	also, err := configCondition(in)
	if err != nil {
		return nil, err
	}
	permissions, err := boolParam("permissions", in.Permissions)
	if err != nil {
		return nil, err
	}
	l, list, err := d.findConfigs(ctx, c, in.ListParams, also)
	if err != nil {
		return nil, err
	}
	show, err := d.withSchedules(ctx, c, list.Items)
	if err != nil {
		return nil, err
	}
	return &configListReply{envelope(d, c.style, l, list, func(one job.Config) jobConfigResponse {
		shown := show(one)
		if permissions {
			shown.Permissions = words(c.Actor.Rights(job.KindJobConfig, one.ID, one.Owner.ID) &^ job.VerbsOf(job.Create))
		}
		return shown
	})}, nil
}

func (d *door) findConfigs(
	ctx context.Context,
	c call,
	p ListParams,
	also job.Expr,
) (*listing, job.List[job.Config], error) {
	l, err := d.readList(c.Request, p, listSpec{
		order: job.Sort{Property: "name"}, columns: []string{"id", "name", "description", "tags"}, also: also,
	})
	if err != nil {
		return nil, job.List[job.Config]{}, err
	}
	list, err := d.server.Configs.List(ctx, c.Actor, l.query)
	return l, list, err
}

// configCondition is what onlyfavs and active ask for. Nobody has favourites yet, so nothing is one.
func configCondition(in *configListInput) (job.Expr, error) {
	var all job.Expr
	if in.Active != "" {
		active, err := boolParam("active", in.Active)
		if err != nil {
			return nil, err
		}
		all = job.Compare{Property: "active", Op: job.Eq, Values: []any{active}}
	}
	only, err := boolParam("onlyfavs", in.OnlyFavs)
	if only {
		all = both(all, job.Or{})
	}
	return all, err
}

// boolParam reads a query parameter that is false when it is not there.
func boolParam(name string, s flag) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "", "false":
		return false, nil
	}
	return false, invalid("%s is true or false", name)
}

func (d *door) createConfig(ctx context.Context, in *configCreateInput) (*configReply, error) {
	c := d.call(ctx)
	input, err := in.JSON.Value.input(control.ConfigInput{})
	if err != nil {
		return nil, err
	}
	if err := d.checkScheduleNew(c, in.JSON.Value.Schedule); err != nil {
		return nil, err
	}
	made, err := d.server.Configs.Create(ctx, c.Actor, input)
	if err != nil {
		return nil, err
	}
	shown, err := d.scheduled(ctx, c, in.JSON.Value.Schedule, made)
	return &configReply{Location: shown.Href, Body: shown}, err
}

func (d *door) getConfig(ctx context.Context, in *ConfigPath) (*configReply, error) {
	c := d.call(ctx)
	found, err := d.server.Configs.Get(ctx, c.Actor, in.ID)
	if err != nil {
		return nil, err
	}
	shown, err := d.scheduled(ctx, c, member[string]{}, found)
	return &configReply{Body: shown}, err
}

func (d *door) putConfig(ctx context.Context, in *configWriteInput) (*configReply, error) {
	c := d.call(ctx)
	input, err := in.JSON.Value.input(control.ConfigInput{})
	if err != nil {
		return nil, err
	}
	if err := d.checkScheduleChange(ctx, c, in.ID, in.JSON.Value.Schedule); err != nil {
		return nil, err
	}
	changed, err := d.server.Configs.Replace(ctx, c.Actor, in.ID, input)
	if err != nil {
		return nil, err
	}
	shown, err := d.scheduled(ctx, c, in.JSON.Value.Schedule, changed)
	return &configReply{Body: shown}, err
}

func (d *door) patchConfig(ctx context.Context, in *configWriteInput) (*configReply, error) {
	c := d.call(ctx)
	if err := d.checkScheduleChange(ctx, c, in.ID, in.JSON.Value.Schedule); err != nil {
		return nil, err
	}
	changed, err := d.server.Configs.Change(ctx, c.Actor, in.ID, func(now job.Config) (control.ConfigInput, error) {
		return in.JSON.Value.input(inputOf(now))
	})
	if err != nil {
		return nil, err
	}
	shown, err := d.scheduled(ctx, c, in.JSON.Value.Schedule, changed)
	return &configReply{Body: shown}, err
}

func (d *door) deleteConfig(ctx context.Context, in *ConfigPath) (*noReply, error) {
	return &noReply{}, d.server.Configs.Delete(ctx, d.call(ctx).Actor, []string{in.ID})
}

func (d *door) deleteConfigs(ctx context.Context, in *bulkInput) (*noReply, error) {
	return &noReply{}, d.server.Configs.Delete(ctx, d.call(ctx).Actor, in.JSON.Value.RecordIDs)
}

func (d *door) setActive(active bool) func(context.Context, *bulkInput) (*okReply, error) {
	return func(ctx context.Context, in *bulkInput) (*okReply, error) {
		return &okReply{}, d.server.Configs.SetActive(ctx, d.call(ctx).Actor, in.JSON.Value.RecordIDs, active)
	}
}

// dropDownListResponse is the vendor's: its filter is the text of the parameter, not the structure of other lists.
type dropDownListResponse struct {
	Type         string      `json:"type"`
	TotalRecords *int        `json:"totalRecords,omitempty"`
	TotalPages   *int        `json:"totalPages,omitempty"`
	Size         int         `json:"size"`
	PageNumber   *int        `json:"pageNumber,omitempty"`
	SortBy       string      `json:"sortBy"`
	Direction    string      `json:"direction"`
	Filter       string      `json:"filter,omitempty"`
	Warnings     []string    `json:"warnings"`
	Links        listLink    `json:"links"`
	Items        []reference `json:"items"`
}

func (d *door) dropdown(ctx context.Context, in *dropdownInput) (*dropdownReply, error) {
	c := d.call(ctx)
	l, list, err := d.findConfigs(ctx, c, in.ListParams, nil)
	if err != nil {
		return nil, err
	}
	p := envelope(d, c.style, l, list, func(one job.Config) reference {
		id := strconv.FormatInt(one.ID, 10)
		return reference{ID: id, Name: one.Name, Href: c.href("jobconfigs/" + id)}
	})
	return &dropdownReply{dropDownListResponse{
		Type: "jobconfigs", TotalRecords: p.TotalRecords, TotalPages: p.TotalPages, Size: p.Size, PageNumber: p.PageNumber,
		SortBy: p.SortBy, Direction: p.Direction, Filter: in.Filter, Warnings: p.Warnings, Links: p.Links, Items: p.Items,
	}}, nil
}

// words shows rights.
func words(rights job.Verbs) []string {
	list := make([]string, 0, 5)
	for _, v := range rights.List() {
		list = append(list, string(v))
	}
	return list
}
