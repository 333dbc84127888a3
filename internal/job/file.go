package job

import (
	"strconv"
	"time"
)

// EntityType is the kind of thing a file hangs on (native.md, 5).
type EntityType string

// The kinds in use so far.
const (
	EntityAccount   EntityType = "ACCOUNT" // everybody of the account may read them, admins write them
	EntityUser      EntityType = "USER"    // that user's own
	EntityJobConfig EntityType = "JOBCONFIG"
)

// Noun is how messages call an entity of that kind.
func (t EntityType) Noun() string {
	switch t {
	case EntityAccount:
		return "account"
	case EntityUser:
		return "user"
	case EntityJobConfig:
		return "job config"
	}
	return string(t)
}

// FileLink lets an entity use a file that another one of the same account has, under the same key. What the key means there
// is what it means here: the newest version.
type FileLink struct {
	ID         int64
	AccountID  int64
	EntityType EntityType // who uses the file
	EntityID   int64
	SourceType EntityType // who has it
	SourceID   int64
	Key        string
	CreatedAt  time.Time
	CreatedBy  UserRef
}

// File is one immutable version of a file key. The newest version of a key is what the key means.
type File struct {
	AccountID   int64
	EntityType  EntityType
	EntityID    int64
	Key         string // 1 to 1024 bytes, may hold "/"
	Version     int    // from 1
	Size        int64  // bytes
	SHA256      string // hex; the blob lies in the object store under BlobKey(account, sha256)
	ContentType string
	CreatedAt   time.Time
	CreatedBy   UserRef
	Archive     *Archive // nil when the key does not name an archive
	LinkID      int64    // read only: the link through which it was found; 0: the entity has it itself
}

// Archive is what an upload found inside a package.
type Archive struct {
	EntryPoints []string `json:"entryPoints,omitempty"` // names of waybill.yaml, then members in the order of native.md, 5
	Main        string   `json:"main,omitempty"`        // Main-Process of META-INF/MANIFEST.MF
	// Jar is the archive's own file name when it is a plain Java program (Main-Class) that is run as it is.
	Jar string `json:"jar,omitempty"`
	// Manifest is what waybill.yaml says; nil when the package has none.
	Manifest *Manifest `json:"manifest,omitempty"`
}

// BlobKey is the object-store key of a package's bytes. Content-addressed, so equal uploads share one object; scoped by
// account, so that one account can never learn what another one holds.
func BlobKey(account int64, sha256 string) string {
	return accountPrefix(account) + "blobs/" + sha256[:2] + "/" + sha256
}

// LogPrefix is the object-store prefix of a job's log segments. The segment names below it are ordered.
func LogPrefix(account int64, id ID) string {
	return accountPrefix(account) + "jobs/" + string(id) + "/log/"
}

// OutputKey is the object-store key of an output file, apart for each attempt so that a rerun never overwrites.
func OutputKey(account int64, id ID, fence int64, name string) string {
	return accountPrefix(account) + "jobs/" + string(id) + "/out/" + itoa(fence) + "/" + name
}

func accountPrefix(account int64) string { return "accounts/" + itoa(account) + "/" }

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// Default is the entry point that is meant when none is named: the Main-Process, the first of waybill.yaml, or the only one
// there is. Empty: there is none, or more than one.
func (a Archive) Default() string {
	switch {
	case a.Main != "":
		return a.Main
	case a.Manifest != nil && len(a.Manifest.EntryPoints) > 0:
		return a.Manifest.EntryPoints[0].Name
	case len(a.EntryPoints) == 1:
		return a.EntryPoints[0]
	}
	return ""
}
