package runner

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"waybill/internal/archive"
	"waybill/internal/environments"
	"waybill/internal/job"
	"waybill/internal/joblog"
	"waybill/internal/sandbox"
)

// Request is one attempt to be run.
type Request struct {
	Job     job.Job // ID, AccountID, ConfigID, Attempt and Spec are used
	Package *Lease
	// Inputs are files the program finds in LOCAL_JOB_SPEC_DIR besides those of the start.
	Inputs []Input
	// Open opens a sealed macro value.
	Open func(sealed string) (string, error)
	// Log receives the program's output, stamped and with secrets masked.
	Log io.Writer
	// Records gives the records the attempt is to retry; nil for none. They are laid into a file as they come.
	Records func(yield func(job.RetryRecord) error) error
	// Session is the token that the program calls the API with, and URL the API's address; either may be empty.
	Session, URL string
	// Grace is how long a program may take to end after SIGTERM before it is killed.
	Grace time.Duration
}

// Execution is an attempt with its private folder. Furnish it, Run it once, then take Outputs, then Close it.
type Execution struct {
	runner   *Runner
	req      Request
	dir      string // the private folder
	entry    archive.Entry
	point    job.EntryPoint // what waybill.yaml says about it
	command  command
	own      map[string]string // variables that Waybill sets
	trace    job.Trace         // see Continue
	resolved resolved
	shared   []*environments.Lease // environments in use
	lines    *joblog.Lines
	masker   *joblog.Masker
	secrets  *joblog.Secrets

	resources job.Resources
	limits    sandbox.Limits
	helpers   string   // folder of the modules that programs may use
	events    *os.File // the program's reports, opened before it begins
	sights    sights

	logging sync.Mutex      // of masker, where standard output and standard error are read apart
	keeping sync.Mutex      // of answer
	answer  strings.Builder // the beginning of standard output, where it is kept
}

// Prepare makes the private folder, finds the entry point and how it is run, and resolves the macros. What is wrong with
// the package or the request is a job.Invalid error (WordInvalidPackage, WordInterpreterMissing, WordInvalidField); other
// errors are the worker's. On failure nothing is left.
func (r *Runner) Prepare(req Request) (e *Execution, err error) {
	e = &Execution{
		runner: r, req: req,
		dir: filepath.Join(r.work, "jobs", string(req.Job.ID)+"-"+strconv.Itoa(req.Job.Attempt)),
	}
	if err := r.takeFolder(e.dir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
			e = nil
		}
	}()
	if e.events, err = openEvents(e.dir); err != nil {
		return e, err
	}
	if err := e.layFiles(req.Job.Spec.Files); err != nil {
		return e, err
	}
	if err := e.layInputs(req.Inputs); err != nil {
		return e, err
	}
	if err := e.layRecords(); err != nil {
		return e, err
	}
	if err := e.layMessages(); err != nil {
		return e, err
	}
	tree, err := e.tree()
	if err != nil {
		return e, err
	}
	if e.entry, err = req.Package.entryPoint(req.Job.Spec.EntryPoint); err != nil {
		return e, err
	}
	e.resources = req.Job.Spec.Resources.Over(req.Package.entry.about.Archive.Manifest.ResourcesOf(e.entry.Point))
	if r.cfg.NoNetwork {
		e.resources.Network = job.NetworkNone
	}
	e.limits = limitsOf(e.resources, r.cfg.JobLimits)
	if e.entry.Point != nil {
		e.point = *e.entry.Point
	}
	return e, e.resolve(tree)
}

// resolve makes the command, its environment, and the log that hides the secrets in it.
func (e *Execution) resolve(tree string) error {
	j := e.req.Job
	own := map[string]string{
		"JOB_ID": string(j.ID), "JOB_CONFIG_ID": strconv.FormatInt(j.ConfigID, 10), "SESSION_ID": e.req.Session,
		"LOCAL_JOB_SPEC_DIR": filepath.Join(e.dir, "spec"), "LOCAL_JOB_OUT_DIR": filepath.Join(e.dir, "out"),
		"WAYBILL_ATTEMPT": strconv.Itoa(j.Attempt), "WAYBILL_PACKAGE_DIR": tree, "WAYBILL_EVENTS": filepath.Join(e.dir, eventsFile),
	}
	if e.req.URL != "" {
		own["WAYBILL_URL"] = e.req.URL
	}
	if j.Spec.RetryStep != "" {
		own["WAYBILL_RETRY_STEP"] = j.Spec.RetryStep
	}
	if e.req.Records != nil {
		own["WAYBILL_RETRY_FILE"] = filepath.Join(e.dir, retryFile)
	}
	talk, err := e.talkVariables()
	if err != nil {
		return err
	}
	maps.Copy(own, talk)
	if e.helpers, err = e.layHelpers(); err != nil {
		return err
	}
	e.own = own
	if err := e.resolveMacros(); err != nil {
		return err
	}
	hidden := []string{e.req.Session}
	for _, m := range e.resolved.macros {
		if m.Secret || e.req.Package.secure(m.Key) {
			hidden = append(hidden, m.Value)
		}
	}
	e.secrets = joblog.NewSecrets(hidden)
	e.lines = joblog.NewLines(e.req.Log, e.runner.cfg.LogLimit, e.sights.clock(e.events.Stat, e.runner.cfg.Now))
	e.masker = e.secrets.Masker(e.lines)
	warnings, err := e.settle(tree, nil, "")
	if err != nil {
		return e.maskError(err)
	}
	for _, w := range append(warnings, e.limitWarnings()...) {
		if err := e.Notef("%s", w); err != nil {
			return err
		}
	}
	return nil
}

// layFiles writes the job's files into spec/. Names may have folders in them.
func (e *Execution) layFiles(files map[string]string) error {
	if len(files) == 0 {
		return nil
	}
	root, err := os.OpenRoot(filepath.Join(e.dir, "spec"))
	if err != nil {
		return err
	}
	defer root.Close()
	for name, text := range files {
		clean := path.Clean(name)
		if !fs.ValidPath(clean) || clean == "." || strings.ContainsAny(name, "\x00\\") {
			return job.Errorf(job.Invalid, job.WordInvalidField, "Job file name %q is not a path inside the folder", name)
		}
		err := root.MkdirAll(path.Dir(clean), 0o700)
		if err == nil {
			err = root.WriteFile(clean, []byte(text), 0o600)
		}
		if err != nil {
			return fmt.Errorf("job file: %w", err)
		}
	}
	return nil
}

// tree is where the program finds its package: the shared tree when the sandbox keeps it from being written to, else a
// copy of its own.
func (e *Execution) tree() (string, error) {
	if e.runner.sandbox.Enforced() {
		return e.req.Package.Dir, nil
	}
	copied := filepath.Join(e.dir, "package")
	return copied, copyTree(e.req.Package.Dir, copied)
}

// copyTree copies files, folders and links as they are.
func copyTree(from, to string) error { return remakeTree(from, to, copyFile) }

// remakeTree makes folders and links again below to, and has each file put there by place.
func remakeTree(from, to string, place func(from, to string) error) error {
	return filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := to + strings.TrimPrefix(name, from)
		switch {
		case d.IsDir():
			return os.Mkdir(target, 0o755)
		case d.Type() == fs.ModeSymlink:
			link, err := os.Readlink(name)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		default:
			return place(name, target)
		}
	})
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm()|0o200)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}

// Notef puts a line of Waybill's own into the job's log. What it quotes may hold a secret.
func (e *Execution) Notef(format string, args ...any) error {
	return e.lines.Notef("%s", e.Mask(fmt.Sprintf(format, args...)))
}

// Close removes the private folder with all in it. It may be called twice.
func (e *Execution) Close() error {
	var err error
	for _, l := range e.shared {
		l.Release()
	}
	if e.events != nil {
		if err = e.events.Close(); errors.Is(err, os.ErrClosed) {
			err = nil
		}
	}
	return errors.Join(err, e.runner.giveFolder(e.dir))
}
