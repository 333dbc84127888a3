package objectstore

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// errNoKeys is how a request fails for which there are no keys. An anonymous request would only tell "access denied".
var errNoKeys = errors.New("there are no keys for the object store")

// ambient finds keys around the process, in this order: AWS_ACCESS_KEY_ID and what belongs to it, the AWS credentials file,
// a web identity (AWS_WEB_IDENTITY_TOKEN_FILE), a container's role, the machine's role. Temporary ones are asked for anew
// before they end, and the file is read again when it was changed, so that keys can be exchanged under way.
type ambient struct {
	providers []credentials.Provider

	mu      sync.Mutex
	current credentials.Provider
}

// askRole bounds a request for the keys of a role: where there is none, often nobody answers.
const askRole = 5 * time.Second

func newAmbient(region string) *ambient {
	role := &credentials.IAM{Client: &http.Client{Timeout: askRole}, Region: region}
	if os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "" {
		role.Endpoint = os.Getenv("AWS_ENDPOINT_URL_STS") // that of a store with an STS of its own
	}
	return &ambient{providers: []credentials.Provider{&credentials.EnvAWS{}, &keyFile{}, role}}
}

// RetrieveWithCredContext is credentials.Provider's.
func (a *ambient) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	var faults []error
	for _, p := range a.providers {
		v, err := p.RetrieveWithCredContext(cc)
		if err == nil && v.AccessKeyID != "" && v.SecretAccessKey != "" {
			a.mu.Lock()
			a.current = p
			a.mu.Unlock()
			return v, nil
		}
		if err != nil {
			faults = append(faults, err)
		}
	}
	return credentials.Value{}, fmt.Errorf("%w: %w", errNoKeys, errors.Join(faults...))
}

// Retrieve is credentials.Provider's.
func (a *ambient) Retrieve() (credentials.Value, error) { return a.RetrieveWithCredContext(nil) }

// IsExpired is credentials.Provider's.
func (a *ambient) IsExpired() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current == nil || a.current.IsExpired()
}

// keyFile is the AWS credentials file (AWS_SHARED_CREDENTIALS_FILE, AWS_PROFILE), read again when it was changed.
type keyFile struct {
	mu     sync.Mutex
	inner  *credentials.FileAWSCredentials
	stamp  fileStamp
	looked time.Time
}

type fileStamp struct {
	size     int64
	modified time.Time
}

// lookEvery bounds how often the file is looked at: every request asks.
const lookEvery = time.Second

func stampNow() (s fileStamp) {
	name := os.Getenv("AWS_SHARED_CREDENTIALS_FILE")
	if name == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return s
		}
		name = filepath.Join(home, ".aws", "credentials")
	}
	if info, err := os.Stat(name); err == nil {
		s = fileStamp{info.Size(), info.ModTime()}
	}
	return s
}

// RetrieveWithCredContext is credentials.Provider's.
func (f *keyFile) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stamp, f.looked = stampNow(), time.Now() // before it is read: a change meanwhile is seen again
	f.inner = &credentials.FileAWSCredentials{}
	return f.inner.RetrieveWithCredContext(cc)
}

// Retrieve is credentials.Provider's.
func (f *keyFile) Retrieve() (credentials.Value, error) { return f.RetrieveWithCredContext(nil) }

// IsExpired is credentials.Provider's.
func (f *keyFile) IsExpired() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.inner == nil || f.inner.IsExpired() {
		return true
	}
	if time.Since(f.looked) < lookEvery {
		return false
	}
	f.looked = time.Now()
	return stampNow() != f.stamp
}
