package native

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
)

type (
	OwnerPath struct {
		ID string `path:"id" doc:"Of the job config (also its objectId), account or user"`
	}
	FilePath struct {
		OwnerPath
		Key string `path:"key" doc:"May hold slashes"`
	}
	fileGetInput struct {
		FilePath
		RedirectParam
		Version whole `query:"version" doc:"An older version; without it the newest"`
	}
	fileListInput struct {
		OwnerPath
		ListParams
	}
	versionListInput struct {
		FilePath
		ListParams
	}
	fileAddInput struct {
		OwnerPath
		Key    string `query:"key" doc:"Of a raw body; defaults to the filename of Content-Disposition"`
		Upload uploadBody
	}
	filePutInput struct {
		FilePath
		Upload uploadBody
	}

	fileReply struct {
		Location string `header:"Location"`
		Body     fileResponse
	}
	fileListReply    struct{ Body Page[fileResponse] }
	versionListReply struct{ Body Page[versionResponse] }
	entryPointsReply struct{ Body entryPoints }
	// streamReply writes its body itself.
	streamReply struct{ Body func(huma.Context) }
)

// fileResponse is the vendor's FileResponse.
type fileResponse struct {
	Name     string       `json:"name"`
	Href     string       `json:"href"`
	Final    *bool        `json:"final,omitempty" doc:"Of a job's files: false while the job runs, then size is what was written when its worker last looked"`
	LinkID   string       `json:"linkId,omitempty" doc:"Of a linked file"`
	Metadata fileMetaData `json:"metadata"`
}

// fileMetaData is the vendor's FileMetaData with what native.md, 5 adds.
type fileMetaData struct {
	Size         int64  `json:"size" doc:"Bytes"`
	LastModified string `json:"lastModified"`
	ContentType  string `json:"contentType"`
	EntityType   string `json:"entityType" doc:"What has the file"`
	EntityID     string `json:"entityId"`
	LinkType     string `json:"linkType" doc:"LOCAL, or LINK for a file of another entity"`
	LinkID       int64  `json:"linkId,omitempty"`
	Version      int    `json:"version,omitempty"`
	SHA256       string `json:"sha256,omitempty"`
}

type versionResponse struct {
	Version   int        `json:"version"`
	Size      int64      `json:"size" doc:"Bytes"`
	SHA256    string     `json:"sha256"`
	Created   string     `json:"created"`
	CreatedBy *reference `json:"createdByUser,omitempty"`
	Current   bool       `json:"current" doc:"What the key means now"`
	Pinned    bool       `json:"pinned" doc:"What the job config pins"`
}

// entryPoints is the vendor's EntryPoints, and what the package says about itself.
type entryPoints struct {
	PackageName string           `json:"packageName"`
	EntryPoints []string         `json:"entryPoints" doc:"Names that entryPoint of a job config may take: those of waybill.yaml first"`
	Default     string           `json:"defaultEntryPoint,omitempty" doc:"What runs when a job config names none"`
	Manifest    *packageManifest `json:"manifest,omitempty" doc:"What the package's waybill.yaml says"`
}

// fileKind is a kind of entity that has files. All kinds share one implementation.
type fileKind struct {
	*door
	entity job.EntityType
	path   string // of the entity's routes
	tag    string
}

func (d *door) fileKinds() []fileKind {
	return []fileKind{
		{d, job.EntityJobConfig, "/jobconfigs/{id}", "Files"},
		{d, job.EntityAccount, "/account/{id}", "Account files"},
		{d, job.EntityUser, "/users/{id}", "User files"},
	}
}

func (k fileKind) owner(id string) control.FileOwner {
	return control.FileOwner{Type: k.entity, Ref: id}
}

// show gives the address of a file under the entity that has it or, for a link, under the one that was asked.
func (k fileKind) show(c call, id string) func(job.File) fileResponse {
	return func(f job.File) fileResponse {
		at := id
		if f.LinkID == 0 {
			at = strconv.FormatInt(f.EntityID, 10)
		}
		return c.file(strings.Replace(strings.TrimPrefix(k.path, "/"), "{id}", at, 1)+"/files/", f)
	}
}

func (d *door) fileRoutes() {
	for _, k := range d.fileKinds() {
		k.routes()
	}
	operation(d, bearer, huma.Operation{
		Method: "GET", Path: "/jobconfigs/{id}/package/entrypoints", Summary: "List the entry points of the config's package", Tags: []string{"Files"},
	}, d.packageEntryPoints)
	d.linkRoutes()
}

func (k fileKind) routes() {
	root := k.path + "/files"
	op := func(method, path, summary string) huma.Operation {
		o := huma.Operation{Method: method, Path: root + path, Summary: summary, Tags: []string{k.tag}}
		if strings.Contains(path, "{key}") {
			o.Metadata = map[string]any{api.Tail: "key", api.TailRoot: root}
		}
		return o
	}
	add := op("POST", "", "Upload a file: a new key, or a new version of one")
	add.DefaultStatus = http.StatusCreated
	operation(k.door, bearer, op("GET", "", "List the files"), k.listFiles)
	operation(k.door, bearer, add, k.addFile)
	operation(k.door, bearer, redirectable(binary(op("GET", "/{key}", "Download a file"), "application/octet-stream")), k.getFile)
	operation(k.door, bearer, op("PUT", "/{key}", "Upload a new version of a file"), k.putFile)
	operation(k.door, bearer, op("DELETE", "/{key}", "Delete a file; jobs that ran it keep it"), k.deleteFile)
	operation(k.door, bearer, op("GET", "/{key}/versions", "List the versions of a file, newest first"), k.listVersions)
	operation(k.door, bearer, op("GET", "/entrypoints/{key}", "List the entry points of a package"), k.fileEntryPoints)
}

// binary documents an operation whose reply is bytes.
func binary(op huma.Operation, kinds ...string) huma.Operation {
	content := func() map[string]*huma.MediaType {
		out := map[string]*huma.MediaType{}
		for _, kind := range kinds {
			out[kind] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
		}
		return out
	}
	op.Responses = map[string]*huma.Response{"200": {Description: "OK", Content: content()}}
	if kinds[0] != "text/event-stream" { // a content, which can be had in ranges and not twice
		op.Responses["206"] = &huma.Response{Description: "The range that was asked for, or several", Content: content()}
		op.Responses["206"].Content["multipart/byteranges"] = &huma.MediaType{}
		op.Responses["304"] = &huma.Response{Description: "As the client has it"}
	}
	return op
}

func (k fileKind) listFiles(ctx context.Context, in *fileListInput) (*fileListReply, error) {
	c := k.call(ctx)
	l, err := k.readList(c.Request, in.ListParams, listSpec{order: job.Sort{Property: "name"}, columns: []string{"name"}})
	if err != nil {
		return nil, err
	}
	list, err := k.server.Files.List(ctx, c.Actor, k.owner(in.ID), l.query)
	if err != nil {
		return nil, err
	}
	return &fileListReply{envelope(k.door, c.style, l, list, k.show(c, in.ID))}, nil
}

// file shows a file; base is the path of its entity's files.
func (s style) file(base string, f job.File) fileResponse {
	r := fileResponse{
		Name: f.Key, Href: s.href(base + escapeKey(f.Key)),
		Metadata: fileMetaData{
			Size: f.Size, LastModified: s.date(f.CreatedAt), ContentType: f.ContentType, EntityType: string(f.EntityType),
			EntityID: strconv.FormatInt(f.EntityID, 10), LinkType: "LOCAL", Version: f.Version, SHA256: f.SHA256,
		},
	}
	if f.LinkID != 0 {
		r.LinkID, r.Metadata.LinkID, r.Metadata.LinkType = strconv.FormatInt(f.LinkID, 10), f.LinkID, "LINK"
	}
	return r
}

// escapeKey escapes each part of a key, not the slashes between them.
func escapeKey(key string) string {
	parts := strings.Split(key, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

func (k fileKind) addFile(ctx context.Context, in *fileAddInput) (*fileReply, error) {
	c := k.call(ctx)
	upload, err := k.readUpload(c.Request, in.Key)
	if err != nil {
		return nil, err
	}
	upload.Again = c.StillActor(ctx)
	f, err := k.server.Files.Add(ctx, c.Actor, k.owner(in.ID), upload)
	if err != nil {
		return nil, err
	}
	shown := k.show(c, in.ID)(f)
	return &fileReply{Location: shown.Href, Body: shown}, nil
}

func (k fileKind) putFile(ctx context.Context, in *filePutInput) (*fileReply, error) {
	c := k.call(ctx)
	upload, err := k.readUpload(c.Request, in.Key)
	if err != nil {
		return nil, err
	}
	upload.MustExist = true
	upload.Again = c.StillActor(ctx)
	f, err := k.server.Files.Add(ctx, c.Actor, k.owner(in.ID), upload)
	return &fileReply{Body: k.show(c, in.ID)(f)}, err
}

func (k fileKind) deleteFile(ctx context.Context, in *FilePath) (*noReply, error) {
	return &noReply{}, k.server.Files.Delete(ctx, k.call(ctx).Actor, k.owner(in.ID), in.Key)
}

func (k fileKind) getFile(ctx context.Context, in *fileGetInput) (*streamReply, error) {
	c := k.call(ctx)
	version := 0
	if in.Version != "" {
		n, err := strconv.ParseInt(string(in.Version), 10, 32)
		if err != nil || n < 1 {
			return nil, invalid("version is a whole number from 1")
		}
		version = int(n)
	}
	f, err := k.server.Files.Get(ctx, c.Actor, k.owner(in.ID), in.Key, version)
	if err != nil {
		return nil, err
	}
	return k.download(ctx, in.RedirectParam, f)
}

// download answers with a file's bytes.
func (d *door) download(ctx context.Context, asked RedirectParam, f job.File) (*streamReply, error) {
	return d.sendStored(ctx, asked, stored{
		key: job.BlobKey(f.AccountID, f.SHA256), name: f.Key, kind: f.ContentType, sum: f.SHA256,
		content: api.Content{
			Size: f.Size, Modified: f.CreatedAt,
			Open: func(offset, length int64) (io.ReadCloser, error) { return d.server.Files.Open(ctx, f, offset, length) },
		},
	})
}

// streamFile answers with content of which the SHA-256 is known.
func (d *door) streamFile(name, kind, sum string, content api.Content) *streamReply {
	return &streamReply{Body: func(hc huma.Context) {
		c := api.Gin(hc)
		c.Header("Content-Type", mediaType(kind))
		c.Header("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": baseName(name)}))
		c.Header("ETag", `"`+sum+`"`)
		if raw, err := hex.DecodeString(sum); err == nil {
			content.Digest = base64.StdEncoding.EncodeToString(raw)
		}
		// The bytes may change under the key, so a cache must ask; the tag makes that cheap.
		c.Header("Cache-Control", "private, no-cache")
		d.server.ServeContent(c, content)
	}}
}

func (k fileKind) listVersions(ctx context.Context, in *versionListInput) (*versionListReply, error) {
	c := k.call(ctx)
	l, err := k.readList(
		c.Request,
		in.ListParams,
		listSpec{order: job.Sort{Property: "version", Desc: true}, columns: []string{"version"}},
	)
	if err != nil {
		return nil, err
	}
	list, pinned, err := k.server.Files.Versions(ctx, c.Actor, k.owner(in.ID), in.Key, l.query)
	if err != nil {
		return nil, err
	}
	newest, err := k.server.Files.Get(ctx, c.Actor, k.owner(in.ID), in.Key, 0)
	if err != nil {
		return nil, err
	}
	return &versionListReply{envelope(k.door, c.style, l, list, func(f job.File) versionResponse {
		return versionResponse{
			Version: f.Version, Size: f.Size, SHA256: f.SHA256, Created: c.date(f.CreatedAt), CreatedBy: c.user(f.CreatedBy),
			Current: f.Version == newest.Version, Pinned: f.Version == pinned,
		}
	})}, nil
}

func (k fileKind) fileEntryPoints(ctx context.Context, in *FilePath) (*entryPointsReply, error) {
	return k.entryPointsOf(ctx, k.owner(in.ID), in.Key)
}

func (d *door) packageEntryPoints(ctx context.Context, in *ConfigPath) (*entryPointsReply, error) {
	return d.entryPointsOf(ctx, control.OfConfig(in.ID), "")
}

func (d *door) entryPointsOf(ctx context.Context, o control.FileOwner, key string) (*entryPointsReply, error) {
	name, found, err := d.server.Files.EntryPoints(ctx, d.call(ctx).Actor, o, key)
	points := found.EntryPoints
	if points == nil {
		points = []string{}
	}
	return &entryPointsReply{entryPoints{
		PackageName: name, EntryPoints: points, Default: found.Default(), Manifest: manifestShown(found.Manifest),
	}}, err
}
