package native

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"waybill/internal/control"
	"waybill/internal/job"
)

// fileLinkRequest is the vendor's FileLinkRequest. Its id is the job config's, which the path gives; it is taken and not
// looked at.
type fileLinkRequest struct {
	EntityType string `json:"entityType" doc:"Of what has the file: ACCOUNT, USER or JOBCONFIG"`
	EntityID   string `json:"entityId" doc:"May be left out for ACCOUNT"`
	FileName   string `json:"fileName" doc:"Key of the file, here as there"`
	ID         string `json:"id" doc:"Without effect"`
}

type (
	linkAddInput struct {
		ConfigPath
		JSON body[fileLinkRequest]
	}
	linkInput struct {
		ConfigPath
		LinkID string `path:"linkid" doc:"linkId of the linked file"`
	}
)

func (d *door) linkRoutes() {
	add := huma.Operation{
		Method: "POST", Path: "/jobconfigs/{id}/filelinks", Tags: []string{"Files"},
		Summary: "Let the job config use a file of the account, a user or another job config", DefaultStatus: http.StatusCreated,
	}
	operation(d, bearer, add, d.addLink)
	operation(d, bearer, huma.Operation{
		Method: "DELETE", Path: "/jobconfigs/{id}/filelinks/{linkid}", Tags: []string{"Files"},
		Summary: "Take a link away; the file stays where it is",
	}, d.deleteLink)
}

func (d *door) addLink(ctx context.Context, in *linkAddInput) (*fileReply, error) {
	c, r := d.call(ctx), in.JSON.Value
	source := control.FileOwner{Type: job.EntityType(r.EntityType), Ref: r.EntityID}
	f, err := d.server.Files.Link(ctx, c.Actor, control.OfConfig(in.ID), source, r.FileName)
	if err != nil {
		return nil, err
	}
	shown := c.file("jobconfigs/"+in.ID+"/files/", f)
	return &fileReply{Location: shown.Href, Body: shown}, nil
}

func (d *door) deleteLink(ctx context.Context, in *linkInput) (*noReply, error) {
	return &noReply{}, d.server.Files.Unlink(ctx, d.call(ctx).Actor, control.OfConfig(in.ID), in.LinkID)
}
