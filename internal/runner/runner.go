package runner

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"waybill/internal/archive"
	"waybill/internal/environments"
	"waybill/internal/job"
	"waybill/internal/runtimes"
	"waybill/internal/sandbox"
)

// Config says how a Runner works. Only Work is required.
type Config struct {
	Work      string          // folder for packages and job folders; made when absent, used by one process at a time
	CacheSize int64           // bytes of unpacked packages kept; 0: 5 GiB
	Limits    archive.Limits  // of packages; zero: archive.DefaultLimits
	Sandbox   sandbox.Mode    // "": sandbox.Auto
	Protect   []string        // more folders that no program may see, such as the server's data
	Runtimes  *runtimes.Table // nil: what is built in
	// Environments are what programs need besides their packages, see Execution.Furnish.
	Environments Environments
	JobLimits    sandbox.Limits // of every program: a job may ask for less, not for more
	NoNetwork    bool           // of every program, whatever its job asks for, and of builds of environments
	LogLimit     int64          // bytes of log per attempt; 0: joblog.DefaultLimit
	// LogTime is how long the rest of the output may take to be written once the program has ended: the log blocks while the
	// store behind it is away and there is no more room to wait in. 0: 30 seconds.
	LogTime      time.Duration
	OutFiles     int   // output files per attempt; 0: 1,000
	OutBytes     int64 // output bytes per attempt; 0: 1 GiB
	OutFileBytes int64 // bytes per output file; 0: as OutBytes
	Logger       *slog.Logger
	Now          func() time.Time
}

// Environments says how environments are kept.
type Environments struct {
	Size      int64         // bytes of all; 0: 4 GiB
	Max       int64         // bytes of one; 0: 2 GiB
	Time      time.Duration // for building one; 0: 10 minutes
	Variables []string      // of the worker that builds see, besides those that are known
}

// Runner runs packages in one work folder.
type Runner struct {
	cfg     Config
	work    string // absolute, links resolved
	id      string // of the work folder, kept in it; marks the processes started here
	lock    *flock.Flock
	sandbox *sandbox.Sandbox
	cache   *Cache
	helpers string // folder of the modules for programs

	runtimes     *runtimes.Table
	environments *environments.Store

	mu     sync.Mutex
	spares []string // empty job folders to be used again
}

// ErrWorkFolderInUse is how New refuses a folder that another process has.
var ErrWorkFolderInUse = errors.New("it is locked")

// New takes the work folder into use. It is refused while another process uses it. Whatever an earlier process left, job
// folders and running programs, is removed before New returns.
func New(ctx context.Context, cfg Config) (_ *Runner, err error) {
	cfg = withDefaults(cfg)
	if cfg.Runtimes == nil {
		if cfg.Runtimes, err = runtimes.New(runtimes.Config{}); err != nil {
			return nil, err
		}
	}
	r := &Runner{cfg: cfg, runtimes: cfg.Runtimes}
	if err := r.openWork(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	r.sandbox, err = sandbox.New(ctx, sandbox.Config{
		Mode: cfg.Sandbox, Protect: append([]string{r.work}, cfg.Protect...), ID: r.id, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	killed, err := r.sweep(ctx)
	if err != nil {
		return nil, fmt.Errorf("clear the work folder: %w", err)
	}
	if killed > 0 {
		cfg.Logger.WarnContext(ctx, "programs of an earlier worker were still running and have been ended", "count", killed)
	}
	r.environments, err = environments.Open(environments.Config{
		Dir: filepath.Join(r.work, "environments"), Limit: cfg.Environments.Size, Max: cfg.Environments.Max, Time: cfg.Environments.Time,
	})
	if err != nil {
		return nil, err
	}
	if err := r.openHelpers(); err != nil {
		return nil, fmt.Errorf("lay the modules for programs: %w", err)
	}
	if r.cache, err = openCache(filepath.Join(r.work, "packages"), cfg.CacheSize, cfg.Limits); err != nil {
		return nil, err
	}
	return r, nil
}

func withDefaults(cfg Config) Config {
	if cfg.CacheSize <= 0 {
		cfg.CacheSize = 5 << 30
	}
	if cfg.Limits == (archive.Limits{}) {
		cfg.Limits = archive.DefaultLimits
	}
	if cfg.Environments.Size <= 0 {
		cfg.Environments.Size = 4 << 30
	}
	if cfg.Environments.Max <= 0 {
		cfg.Environments.Max = 2 << 30
	}
	if cfg.Environments.Time <= 0 {
		cfg.Environments.Time = 10 * time.Minute
	}
	if cfg.LogTime <= 0 {
		cfg.LogTime = 30 * time.Second
	}
	if cfg.OutFiles <= 0 {
		cfg.OutFiles = 1000
	}
	if cfg.OutBytes <= 0 {
		cfg.OutBytes = 1 << 30
	}
	if cfg.OutFileBytes <= 0 {
		cfg.OutFileBytes = cfg.OutBytes
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

func (r *Runner) openWork() error {
	if err := os.MkdirAll(r.cfg.Work, 0o700); err != nil {
		return err
	}
	abs, err := filepath.Abs(r.cfg.Work)
	if err != nil {
		return err
	}
	if r.work, err = filepath.EvalSymlinks(abs); err != nil {
		return err
	}
	r.lock = flock.New(filepath.Join(r.work, "lock"))
	locked, err := r.lock.TryLock()
	if err != nil {
		return fmt.Errorf("lock work folder %s: %w", r.work, err)
	}
	if !locked {
		return job.Wrap(ErrWorkFolderInUse, job.Conflict, "", "Work folder %s is in use by another process", r.work)
	}
	if r.id, err = workID(filepath.Join(r.work, "id")); err != nil {
		return errors.Join(err, r.lock.Unlock())
	}
	return nil
}

// workID reads or makes the id of the work folder.
func workID(file string) (string, error) {
	text, err := os.ReadFile(file)
	if id := strings.TrimSpace(string(text)); err == nil && len(id) == 32 {
		return id, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	id := randomHex(16)
	return id, os.WriteFile(file, []byte(id+"\n"), 0o600)
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails, says crypto/rand
	return hex.EncodeToString(b)
}

// Sandbox tells in one line what holds programs back.
func (r *Runner) Sandbox() string { return r.sandbox.String() }

// Kinds lists what this worker can run, see runtimes.Table.Kinds.
func (r *Runner) Kinds() []string { return r.runtimes.Kinds() }

// Work is the folder of everything the runner keeps.
func (r *Runner) Work() string { return r.work }

// Cache is the packages at hand.
func (r *Runner) Cache() *Cache { return r.cache }

// Environments tells what the worker did with environments.
func (r *Runner) Environments() environments.Stats { return r.environments.Stats() }

// Close gives the work folder back. No run may be under way.
func (r *Runner) Close() error {
	var errs []error
	if r.environments != nil {
		r.environments.Close() // builds use packages and the sandbox
	}
	if r.cache != nil {
		r.cache.close()
	}
	if r.sandbox != nil {
		errs = append(errs, r.sandbox.Close())
	}
	return errors.Join(append(errs, r.lock.Unlock())...)
}

// sweep ends the programs of an earlier process and removes its job folders.
func (r *Runner) sweep(ctx context.Context) (killed int, err error) {
	if killed, err = sandbox.KillLeftovers(ctx, r.id); err != nil {
		return killed, err
	}
	jobs := filepath.Join(r.work, "jobs")
	if err := archive.Remove(jobs); err != nil {
		return killed, err
	}
	return killed, os.Mkdir(jobs, 0o700)
}
