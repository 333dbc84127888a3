package control

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"waybill/internal/job"
)

// Archives reads packages (internal/archive).
type Archives interface {
	// Is tells whether a key names an archive.
	Is(key string) bool
	// Inspect checks the whole archive against the limits and finds its entry points; WordInvalidPackage otherwise.
	Inspect(ctx context.Context, r io.ReaderAt, size int64, key string) (job.Archive, error)
}

// FileOwner names an entity that has files, as a route does.
type FileOwner struct {
	Type job.EntityType
	Ref  string // decimal id; a job config may be named by its object id
}

// OfConfig names a job config.
func OfConfig(ref string) FileOwner { return FileOwner{job.EntityJobConfig, ref} }

// Files is what can be done with the files of job configs, accounts and users.
type Files struct {
	Configs  *Configs
	Users    Users
	Links    FileLinks
	Store    FileStore
	Blobs    BlobKeeper
	Objects  Objects
	Archives Archives
	Spool    string // folder for uploads on their way; emptied at start
	MaxSize  int64  // bytes of one file
	Now      Clock
}

// Upload is a file on its way in.
type Upload struct {
	Key         string
	Body        io.Reader
	ContentType string
	// SHA256, when set, is the digest the client announced; a body that has another one is WordDigestMismatch.
	SHA256 []byte
	// MustExist refuses a key that has no version yet (PUT).
	MustExist bool
	// Finish, when set, is called once Body has been read and before anything is kept. It gives the key, which a form may
	// bring behind the file, or refuses the upload. Key may then be empty.
	Finish func() (key string, err error)
	// Again, when set, finds out once more who sends the body, once it has been read.
	Again func() (job.Actor, error)
}

// Add streams an upload into the object store and makes it the newest version of its key. The body is spooled to disk
// while it is hashed, because an archive can only be checked when it is whole: a refused upload leaves nothing behind.
func (s *Files) Add(ctx context.Context, a job.Actor, o FileOwner, u Upload) (job.File, error) {
	e, err := s.entity(ctx, a, o, job.Edit)
	if err != nil {
		return job.File{}, err
	}
	if u.Key != "" || u.Finish == nil {
		if err := CheckKey(u.Key); err != nil {
			return job.File{}, err
		}
	}
	if u.MustExist {
		if _, err := s.Store.File(ctx, a.AccountID, e.Type, e.ID, u.Key, 0); err != nil {
			return job.File{}, err
		}
	}
	temp, err := os.CreateTemp(s.Spool, "upload-")
	if err != nil {
		return job.File{}, job.Wrap(err, job.Unavailable, job.WordDependencyDown, "The upload can not be stored")
	}
	defer func() { _ = errors.Join(temp.Close(), os.Remove(temp.Name())) }()
	spooled, err := s.spool(ctx, temp, u, s.MaxSize)
	if err != nil {
		return job.File{}, err
	}
	if u.Finish != nil {
		if u.Key, err = u.Finish(); err != nil {
			return job.File{}, err
		}
		if err := CheckKey(u.Key); err != nil {
			return job.File{}, err
		}
	}
	if err := s.inspect(ctx, &spooled, u.Key); err != nil {
		return job.File{}, err
	}
	if a, e, err = s.stillMay(ctx, a, e, o, u); err != nil {
		return job.File{}, err
	}
	TrailOf(ctx).About("file", fileID(e, u.Key))
	TrailOf(ctx).Changed([]job.AuditChange{{Field: "sha256", After: spooled.digest}})
	f, err := s.kept(ctx, a, e, u, spooled)
	if err != nil {
		return job.File{}, err
	}
	return s.Store.AddFile(ctx, f)
}

// stillMay looks once more, when all of a body is there, whether its sender may: an upload takes as long as the client likes.
func (s *Files) stillMay(ctx context.Context, a job.Actor, e fileEntity, o FileOwner, u Upload) (job.Actor, fileEntity, error) {
	if u.Again == nil {
		return a, e, nil
	}
	a, err := u.Again()
	if err == nil {
		e, err = s.entity(ctx, a, o, job.Edit)
	}
	return a, e, err
}

// spooled is a body on this machine's disk.
type spooled struct {
	temp    *os.File
	size    int64
	digest  string
	archive *job.Archive // of a key that names one, once it is inspected
}

func (s *Files) inspect(ctx context.Context, b *spooled, key string) error {
	if !s.Archives.Is(key) {
		return nil
	}
	archive, err := s.Archives.Inspect(ctx, b.temp, b.size, key)
	b.archive = &archive
	return err
}

// kept puts a body into the object store and gives the version it is to be.
func (s *Files) kept(ctx context.Context, a job.Actor, e fileEntity, u Upload, b spooled) (job.File, error) {
	if err := s.keep(ctx, a.AccountID, b.temp, b.size, b.digest); err != nil {
		return job.File{}, err
	}
	return job.File{
		AccountID: a.AccountID, EntityType: e.Type, EntityID: e.ID, Key: u.Key, Size: b.size, SHA256: b.digest,
		ContentType: u.ContentType, CreatedAt: s.Now().UTC().Truncate(time.Microsecond), CreatedBy: a.User, Archive: b.archive,
	}, nil
}

// spool writes a body of at most so many bytes to temp.
func (s *Files) spool(ctx context.Context, temp *os.File, u Upload, most int64) (spooled, error) {
	hash := sha256.New()
	body := &source{ctx: ctx, r: io.LimitReader(u.Body, most+1)}
	size, err := io.Copy(io.MultiWriter(temp, hash), body)
	switch {
	case body.err != nil && ctx.Err() != nil:
		return spooled{}, job.Wrap(context.Cause(ctx), job.Canceled, "", "The upload was broken off")
	case body.err != nil:
		var e *job.Error
		if errors.As(body.err, &e) {
			return spooled{}, e
		}
		return spooled{}, job.Wrap(body.err, job.Invalid, job.WordInvalidField, "The body of the upload can not be read")
	case err != nil:
		return spooled{}, job.Wrap(err, job.Unavailable, job.WordDependencyDown, "The upload can not be stored")
	case size > most:
		return spooled{}, job.Errorf(job.TooLarge, job.WordTooLarge, "The file is larger than %d bytes", s.MaxSize)
	}
	sum := hash.Sum(nil)
	if len(u.SHA256) > 0 && !bytes.Equal(u.SHA256, sum) {
		return spooled{}, job.Errorf(job.Invalid, job.WordDigestMismatch, "The body does not have the SHA-256 that Content-Digest names")
	}
	return spooled{temp: temp, size: size, digest: hex.EncodeToString(sum)}, nil
}

// source remembers the client's own read error, to tell it from a full disk, and stops when the caller is gone.
type source struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	if s.ctx.Err() != nil {
		s.err = context.Cause(s.ctx)
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// keep puts the blob unless the same bytes are there already.
func (s *Files) keep(ctx context.Context, account int64, temp *os.File, size int64, digest string) error {
	if err := s.Blobs.HoldBlob(aside(ctx), account, digest); err != nil {
		return err
	}
	key := job.BlobKey(account, digest)
	switch o, err := s.Objects.Stat(ctx, key); {
	case err == nil && o.Size == size:
		return nil
	case err != nil && job.CodeOf(err) != job.NotFound:
		return err
	}
	if _, err := temp.Seek(0, io.SeekStart); err != nil {
		return job.Wrap(err, job.Unavailable, job.WordDependencyDown, "The upload can not be stored")
	}
	_, err := s.Objects.Put(ctx, key, temp, size)
	return err
}

// Get finds a version of a file; version 0 is the newest.
func (s *Files) Get(ctx context.Context, a job.Actor, o FileOwner, key string, version int) (job.File, error) {
	e, err := s.entity(ctx, a, o, job.View)
	if err != nil {
		return job.File{}, err
	}
	return s.Store.File(ctx, a.AccountID, e.Type, e.ID, key, version)
}

// Open reads bytes of a file from offset; length -1 means to the end. The caller closes.
func (s *Files) Open(ctx context.Context, f job.File, offset, length int64) (io.ReadCloser, error) {
	if f.Size == 0 || length == 0 {
		return io.NopCloser(strings.NewReader("")), nil
	}
	return s.Objects.Get(ctx, job.BlobKey(f.AccountID, f.SHA256), offset, length)
}

// List lists the newest versions of an entity's files, linked ones among them.
func (s *Files) List(ctx context.Context, a job.Actor, o FileOwner, q job.Query) (job.List[job.File], error) {
	e, err := s.entity(ctx, a, o, job.View)
	if err != nil {
		return job.List[job.File]{}, err
	}
	q.Scope = job.Scope{AccountID: a.AccountID}
	return s.Store.Files(ctx, a.AccountID, e.Type, e.ID, q)
}

// Versions lists the versions of a key, newest first. pinned is the version a config pins, 0 for none.
func (s *Files) Versions(ctx context.Context, a job.Actor, o FileOwner, key string, q job.Query) (files job.List[job.File], pinned int, err error) {
	e, err := s.entity(ctx, a, o, job.View)
	if err != nil {
		return files, 0, err
	}
	q.Scope = job.Scope{AccountID: a.AccountID}
	if e.runtime.PackageName == key {
		pinned = e.runtime.PackageVersion
	}
	files, err = s.Store.FileVersions(ctx, a.AccountID, e.Type, e.ID, key, q)
	return files, pinned, err
}

// Delete takes a key out of an entity's files. Jobs that ran its versions keep them.
func (s *Files) Delete(ctx context.Context, a job.Actor, o FileOwner, key string) error {
	e, err := s.entity(ctx, a, o, job.Edit)
	if err != nil {
		return err
	}
	TrailOf(ctx).About("file", fileID(e, key))
	return s.Store.DeleteFile(ctx, a.AccountID, e.Type, e.ID, key)
}

// EntryPoints finds what is known of a package: its entry points and what its manifest says. An empty key means a config's
// own package.
func (s *Files) EntryPoints(ctx context.Context, a job.Actor, o FileOwner, key string) (name string, found job.Archive, err error) {
	e, err := s.entity(ctx, a, o, job.View)
	if err != nil {
		return "", job.Archive{}, err
	}
	version := 0
	if key == "" {
		key, version = e.runtime.PackageName, e.runtime.PackageVersion
		if key == "" {
			return "", job.Archive{}, job.Errorf(job.Invalid, job.WordPackageMissing, "Job config %s names no package", short(o.Ref))
		}
	}
	f, err := s.Store.File(ctx, a.AccountID, e.Type, e.ID, key, version)
	if err != nil {
		return "", job.Archive{}, err
	}
	if f.Archive == nil {
		return "", job.Archive{}, job.Errorf(job.Invalid, job.WordInvalidPackage, "'%s' is not a package", short(key))
	}
	return key, *f.Archive, nil
}

// maxKey is the size of a file key in bytes.
const maxKey = 1024

// CheckKey tells whether s may be a file key (native.md, 5).
func CheckKey(s string) error {
	bad := func(why string) error {
		return job.Errorf(job.Invalid, job.WordInvalidKey, "'%s' is not a file key: %s", short(s), why)
	}
	switch {
	case s == "":
		return job.Errorf(job.Invalid, job.WordMissingField, "key is required")
	case len(s) > maxKey:
		return bad("it has more than 1024 bytes")
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return bad("it holds control characters or is not UTF-8")
	case strings.ContainsRune(s, '\\'):
		return bad("it holds a backslash")
	case strings.HasPrefix(s, "/"):
		return bad("it begins with a slash")
	}
	parts := strings.Split(s, "/")
	for _, part := range parts {
		if part == "." || part == ".." || part == "" {
			return bad("it has an empty part, or a part '.' or '..'")
		}
	}
	if parts[0] == "entrypoints" {
		return bad("its first part is 'entrypoints'")
	}
	if parts[len(parts)-1] == "versions" {
		return bad("its last part is 'versions'")
	}
	return nil
}
