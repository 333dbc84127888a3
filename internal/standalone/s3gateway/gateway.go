package s3gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/debuglogger"
	"github.com/versity/versitygw/s3api"
	"github.com/versity/versitygw/s3api/middlewares"
	"github.com/versity/versitygw/s3api/utils"
)

// Region is the region the gateway signs for.
const Region = "us-east-1"

const (
	// accessKey owns the buckets, so it must stay the same.
	accessKey  = "waybill"
	healthPath = "/-/health" // "-" is no valid bucket name, so it hides none
	// maxConnections and maxRequests are far above what one machine's workers open.
	maxConnections = 4096
	maxRequests    = 4096
	// partsLimit is the most S3 allows.
	partsLimit = 10_000
	// portTries is how often a chosen port may turn out taken between choosing and binding it.
	portTries = 5
)

// Config says where a gateway keeps objects.
type Config struct {
	// Dir holds the buckets. Made if absent.
	Dir string
	// SidecarDir holds metadata where Dir's file system has no extended attributes. Outside of Dir; made only if needed.
	SidecarDir string
	// MetadataFiles forces the sidecar.
	MetadataFiles bool
	// Address to listen on, host:port on loopback, if it is free; otherwise, and when it is empty, a free port is chosen.
	Address string
	// SecretKey of the clients. Default: a new one.
	SecretKey string
	// Logger takes what goes wrong inside the gateway. Default slog.Default().
	Logger *slog.Logger
}

// Credentials are what a client needs.
type Credentials struct {
	Endpoint  string `json:"endpoint"` // host:port, plain http on loopback
	AccessKey string `json:"accessKey"`
	SecretKey string `json:"secretKey"`
	Region    string `json:"region"`
}

// Gateway is a running gateway.
type Gateway struct {
	cred   Credentials
	server *s3api.S3ApiServer
	back   *rooted
	served chan struct{} // closed when the server has returned
	err    error         // why it returned; read after served
	closed atomic.Bool
}

// Start serves Dir on a loopback port and returns once requests are answered.
func Start(ctx context.Context, c Config) (*Gateway, error) {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if err := writable(c.Dir); err != nil {
		return nil, err
	}
	root, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the object folder: %w", err)
	}
	if c.MetadataFiles {
		if err := os.MkdirAll(c.SidecarDir, 0o700); err != nil {
			return nil, fmt.Errorf("make the metadata folder: %w", err)
		}
	}
	store, err := metadata(root, c.SidecarDir)
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{root, c.SidecarDir} {
		if err := discardUnfinished(dir); err != nil {
			return nil, err
		}
	}
	if c.SecretKey == "" {
		c.SecretKey = rand.Text()
	}
	c.Logger = c.Logger.With("component", "s3-gateway")
	for try := 1; ; try++ {
		addr, err := freeAddress(c.Address)
		if err != nil {
			return nil, err
		}
		g, err := start(ctx, c, root, addr, store)
		if err == nil || try == portTries || !errors.Is(err, syscall.EADDRINUSE) {
			return g, err
		}
		c.Address = "" // it was free a moment ago: somebody else has the same wish
	}
}

func start(ctx context.Context, c Config, root, addr string, store meta.MetadataStorer) (*Gateway, error) {
	back, err := newRooted(root, store, c.Logger)
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		cred:   Credentials{Endpoint: addr, AccessKey: accessKey, SecretKey: c.SecretKey, Region: Region},
		back:   back,
		served: make(chan struct{}),
	}
	if g.server, err = g.newServer(); err != nil {
		back.Shutdown()
		return nil, err
	}
	go func() {
		defer close(g.served)
		g.err = g.server.ServeMultiPort([]string{addr})
	}()
	if err := g.ready(ctx); err != nil {
		_ = g.Stop(ctx)
		return nil, fmt.Errorf("start the S3 gateway on %s: %w", root, err)
	}
	return g, nil
}

func (g *Gateway) newServer() (*s3api.S3ApiServer, error) {
	quiet()
	iam := auth.NewIAMServiceSingle(auth.Account{
		Access: g.cred.AccessKey, Secret: g.cred.SecretKey, Role: auth.RoleAdmin,
	})
	srv, err := s3api.New(g.back,
		middlewares.RootUserConfig{Access: g.cred.AccessKey, Secret: g.cred.SecretKey},
		Region, iam, nil, nil, nil, nil,
		s3api.WithQuiet(), // no request log on the program's stdout
		s3api.WithKeepAlive(),
		s3api.WithHealth(healthPath),
		s3api.WithDisableACL(), // one account: access lists would only be read, never decide
		s3api.WithConcurrencyLimiter(maxConnections, maxRequests),
		s3api.WithMpMaxParts(partsLimit),
	)
	if err != nil {
		return nil, fmt.Errorf("set up the S3 gateway: %w", err)
	}
	return srv, nil
}

// Credentials tells clients how to reach the gateway.
func (g *Gateway) Credentials() Credentials { return g.cred }

// Stop lets running requests end until ctx does, at most ten seconds (versitygw's own limit). Stopping twice is fine.
func (g *Gateway) Stop(ctx context.Context) error {
	if g.closed.Swap(true) {
		return nil
	}
	done := make(chan error, 1)
	go func() {
		err := g.server.ShutDown()
		<-g.served
		g.back.Shutdown()
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("stop the S3 gateway: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the S3 gateway: %w", context.Cause(ctx))
	}
}

// ready polls the health path: versitygw binds its port by itself, so there is no moment to wait for but the first answer.
func (g *Gateway) ready(ctx context.Context) error {
	url := "http://" + g.cred.Endpoint + healthPath
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		select {
		case <-g.served:
			return g.err
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := client.Do(req)
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return nil
		}
	}
}

// writable makes dir and checks that a file can be made in it, so that the fault is told at the start, not at the first
// upload.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the object folder: %w", err)
	}
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return fmt.Errorf("object folder is not writable: %w", err)
	}
	_ = f.Close()
	return os.Remove(f.Name())
}

// discardUnfinished removes what uploads left that were under way when the last process died. Nobody can go on with them:
// the gateway forgets them, and clients begin anew.
func discardUnfinished(dir string) error {
	buckets, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("look for unfinished uploads: %w", err)
	}
	for _, b := range buckets {
		if !b.IsDir() {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, b.Name(), posix.MetaTmpDir)); err != nil {
			return fmt.Errorf("remove unfinished uploads: %w", err)
		}
	}
	return nil
}

// freeAddress is the wish if it is free, else a port that is. A wish that is not of this machine alone is not heard: the
// gateway speaks plain http.
func freeAddress(wish string) (string, error) {
	if at, err := net.ResolveTCPAddr("tcp", wish); wish != "" && err == nil && at.IP.IsLoopback() && at.Port != 0 {
		if l, err := net.ListenTCP("tcp", at); err == nil {
			return at.String(), l.Close()
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	addr := l.Addr().String()
	return addr, l.Close()
}

// quiet sets versitygw's package-level state, once: a second gateway setting it would race with the first one's requests.
var quiet = sync.OnceFunc(func() {
	debuglogger.SetLevel(debuglogger.LevelSilent)
	utils.SetBucketNameValidationStrict(true)
})
