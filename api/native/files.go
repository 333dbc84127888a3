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
	"waybill/internal/job"
)

type (
	FilePath struct {
		ConfigPath
		Key string `path:"key" doc:"May hold slashes"`
	}
	fileGetInput struct {
		FilePath
		Version whole `query:"version" doc:"An older version; without it the newest"`
	}
	fileListInput struct {
		ConfigPath
		ListParams
	}
	versionListInput struct {
		FilePath
		ListParams
	}
	fileAddInput struct {
		ConfigPath
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
	Metadata fileMetaData `json:"metadata"`
}

// fileMetaData is the vendor's FileMetaData with what native.md, 5 adds.
type fileMetaData struct {
	Size         int64  `json:"size" doc:"Bytes"`
	LastModified string `json:"lastModified"`
	ContentType  string `json:"contentType"`
	EntityType   string `json:"entityType"`
	EntityID     string `json:"entityId"`
	LinkType     string `json:"linkType"`
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

const filesRoot = "/jobconfigs/{id}/files"

func (d *door) fileRoutes() {
	op := func(method, path, summary string) huma.Operation {
		o := huma.Operation{Method: method, Path: path, Summary: summary, Tags: []string{"Files"}}
		if strings.Contains(path, "{key}") {
			o.Metadata = map[string]any{api.Tail: "key", api.TailRoot: filesRoot}
		}
		return o
	}
	add := op("POST", filesRoot, "Upload a file: a new key, or a new version of one")
	add.DefaultStatus = http.StatusCreated
	operation(d, bearer, op("GET", filesRoot, "List the files"), d.listFiles)
	operation(d, bearer, add, d.addFile)
	operation(d, bearer, binary(op("GET", filesRoot+"/{key}", "Download a file"), "application/octet-stream"), d.getFile)
	operation(d, bearer, op("PUT", filesRoot+"/{key}", "Upload a new version of a file"), d.putFile)
	operation(d, bearer, op("DELETE", filesRoot+"/{key}", "Delete a file; jobs that ran it keep it"), d.deleteFile)
	operation(
		d,
		bearer,
		op("GET", filesRoot+"/{key}/versions", "List the versions of a file, newest first"),
		d.listVersions,
	)
	operation(
		d,
		bearer,
		op("GET", filesRoot+"/entrypoints/{key}", "List the entry points of a package"),
		d.fileEntryPoints,
	)
	operation(
		d,
		bearer,
		op("GET", "/jobconfigs/{id}/package/entrypoints", "List the entry points of the config's package"),
		d.packageEntryPoints,
	)
}

// binary documents an operation whose reply is bytes.
func binary(op huma.Operation, kind string) huma.Operation {
	op.Responses = map[string]*huma.Response{"200": {
		Description: "OK", Content: map[string]*huma.MediaType{kind: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}}
	return op
}

func (d *door) listFiles(ctx context.Context, in *fileListInput) (*fileListReply, error) {
	c := d.call(ctx)
	l, err := d.readList(c.Request, in.ListParams, listSpec{order: job.Sort{Property: "name"}, columns: []string{"name"}})
	if err != nil {
		return nil, err
	}
	list, err := d.server.Files.List(ctx, c.Actor, in.ID, l.query)
	if err != nil {
		return nil, err
	}
	return &fileListReply{envelope(d, c.style, l, list, c.file)}, nil
}

func (s style) file(f job.File) fileResponse {
	id := strconv.FormatInt(f.EntityID, 10)
	return fileResponse{
		Name: f.Key, Href: s.href("jobconfigs/" + id + "/files/" + escapeKey(f.Key)),
		Metadata: fileMetaData{
			Size: f.Size, LastModified: s.date(f.CreatedAt), ContentType: f.ContentType, EntityType: string(f.EntityType), EntityID: id,
			LinkType: "LOCAL", Version: f.Version, SHA256: f.SHA256,
		},
	}
}

// escapeKey escapes each part of a key, not the slashes between them.
func escapeKey(key string) string {
	parts := strings.Split(key, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

func (d *door) addFile(ctx context.Context, in *fileAddInput) (*fileReply, error) {
	c := d.call(ctx)
	upload, err := d.readUpload(c.Request, in.Key)
	if err != nil {
		return nil, err
	}
	f, err := d.server.Files.Add(ctx, c.Actor, in.ID, upload)
	if err != nil {
		return nil, err
	}
	shown := c.file(f)
	return &fileReply{Location: shown.Href, Body: shown}, nil
}

func (d *door) putFile(ctx context.Context, in *filePutInput) (*fileReply, error) {
	c := d.call(ctx)
	upload, err := d.readUpload(c.Request, in.Key)
	if err != nil {
		return nil, err
	}
	upload.MustExist = true
	f, err := d.server.Files.Add(ctx, c.Actor, in.ID, upload)
	return &fileReply{Body: c.file(f)}, err
}

func (d *door) deleteFile(ctx context.Context, in *FilePath) (*noReply, error) {
	return &noReply{}, d.server.Files.Delete(ctx, d.call(ctx).Actor, in.ID, in.Key)
}

func (d *door) getFile(ctx context.Context, in *fileGetInput) (*streamReply, error) {
	c := d.call(ctx)
	version := 0
	if in.Version != "" {
		n, err := strconv.ParseInt(string(in.Version), 10, 32)
		if err != nil || n < 1 {
			return nil, invalid("version is a whole number from 1")
		}
		version = int(n)
	}
	f, err := d.server.Files.Get(ctx, c.Actor, in.ID, in.Key, version)
	if err != nil {
		return nil, err
	}
	return d.download(ctx, f), nil
}

// download streams a file's bytes.
func (d *door) download(ctx context.Context, f job.File) *streamReply {
	return d.streamFile(f.Key, f.ContentType, f.SHA256, api.Content{
		Size: f.Size, Modified: f.CreatedAt,
		Open: func(offset, length int64) (io.ReadCloser, error) { return d.server.Files.Open(ctx, f, offset, length) },
	})
}

// streamFile answers with content of which the SHA-256 is known.
func (d *door) streamFile(name, kind, sum string, content api.Content) *streamReply {
	return &streamReply{Body: func(hc huma.Context) {
		c := api.Gin(hc)
		if kind == "" {
			kind = "application/octet-stream"
		}
		c.Header("Content-Type", kind)
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

func (d *door) listVersions(ctx context.Context, in *versionListInput) (*versionListReply, error) {
	c := d.call(ctx)
	l, err := d.readList(
		c.Request,
		in.ListParams,
		listSpec{order: job.Sort{Property: "version", Desc: true}, columns: []string{"version"}},
	)
	if err != nil {
		return nil, err
	}
	list, pinned, err := d.server.Files.Versions(ctx, c.Actor, in.ID, in.Key, l.query)
	if err != nil {
		return nil, err
	}
	newest, err := d.server.Files.Get(ctx, c.Actor, in.ID, in.Key, 0)
	if err != nil {
		return nil, err
	}
	return &versionListReply{envelope(d, c.style, l, list, func(f job.File) versionResponse {
		return versionResponse{
			Version: f.Version, Size: f.Size, SHA256: f.SHA256, Created: c.date(f.CreatedAt), CreatedBy: c.user(f.CreatedBy),
			Current: f.Version == newest.Version, Pinned: f.Version == pinned,
		}
	})}, nil
}

func (d *door) fileEntryPoints(ctx context.Context, in *FilePath) (*entryPointsReply, error) {
	return d.entryPointsOf(ctx, in.ID, in.Key)
}

func (d *door) packageEntryPoints(ctx context.Context, in *ConfigPath) (*entryPointsReply, error) {
	return d.entryPointsOf(ctx, in.ID, "")
}

func (d *door) entryPointsOf(ctx context.Context, config, key string) (*entryPointsReply, error) {
	name, found, err := d.server.Files.EntryPoints(ctx, d.call(ctx).Actor, config, key)
	points := found.EntryPoints
	if points == nil {
		points = []string{}
	}
	return &entryPointsReply{entryPoints{
		PackageName: name, EntryPoints: points, Default: found.Default(), Manifest: manifestShown(found.Manifest),
	}}, err
}
