package native

import (
	"context"
	"io"

	"github.com/danielgtaylor/huma/v2"

	"waybill/api"
	"waybill/internal/job"
)

type (
	outputListInput struct {
		JobPath
		ListParams
	}
	outputInput struct {
		JobPath
		RedirectParam
		Key string `path:"key" doc:"Path of the file below LOCAL_JOB_OUT_DIR"`
	}
	outputListReply struct{ Body Page[fileResponse] }
)

const outputsRoot = "/jobs/{id}/out/files"

func (d *door) outputRoutes() {
	tags := []string{"Jobs"}
	operation(d, bearer, huma.Operation{
		Method: "GET", Path: outputsRoot, Summary: "List the files a job left, or has written so far", Tags: tags,
	}, d.listOutputs)
	operation(d, bearer, redirectable(binary(huma.Operation{
		Method: "GET", Path: outputsRoot + "/{key}", Summary: "Download a file a job left", Tags: tags,
		Metadata: map[string]any{api.Tail: "key", api.TailRoot: outputsRoot},
	}, "application/octet-stream")), d.getOutput)
}

// listOutputs pages in memory: what one job may leave is bounded, and read whole anyway.
func (d *door) listOutputs(ctx context.Context, in *outputListInput) (*outputListReply, error) {
	c := d.call(ctx)
	l, err := d.readList(c.Request, in.ListParams, listSpec{order: job.Sort{Property: "name"}, columns: []string{"name"}})
	if err != nil {
		return nil, err
	}
	if err := noCursor(l); err != nil {
		return nil, err
	}
	all, err := d.server.Jobs.Outputs(ctx, c.Actor, in.ID)
	if err != nil {
		return nil, err
	}
	list, err := pageOfAll(all, l.query, "name", outputProperty)
	if err != nil {
		return nil, err
	}
	return &outputListReply{
		envelope(d, c.style, l, list, func(o job.Output) fileResponse { return c.output(in.ID, o) }),
	}, nil
}

func outputProperty(o job.Output) func(string) (any, error) {
	return func(name string) (any, error) {
		switch name {
		case "name":
			return o.Name, nil
		case "size":
			return o.Size, nil
		case "created":
			return o.CreatedAt, nil
		}
		return nil, unknownProperty(name)
	}
}

func (s style) output(id string, o job.Output) fileResponse {
	final := o.Object != ""
	return fileResponse{
		Final: &final, Name: o.Name, Href: s.href("jobs/" + id + "/out/files/" + escapeKey(o.Name)),
		Metadata: fileMetaData{
			Size: o.Size, LastModified: s.date(o.CreatedAt), ContentType: "application/octet-stream", EntityType: "JOB_OUTPUT",
			EntityID: id, LinkType: "LOCAL", SHA256: o.SHA256,
		},
	}
}

func (d *door) getOutput(ctx context.Context, in *outputInput) (*streamReply, error) {
	o, err := d.server.Jobs.Output(ctx, d.call(ctx).Actor, in.ID, in.Key)
	if err != nil {
		return nil, err
	}
	return d.sendStored(ctx, in.RedirectParam, stored{
		key: o.Object, name: o.Name, sum: o.SHA256,
		content: api.Content{
			Size: o.Size, Modified: o.CreatedAt,
			Open: func(offset, length int64) (io.ReadCloser, error) {
				return d.server.Jobs.OpenOutput(ctx, o, offset, length)
			},
		},
	})
}
