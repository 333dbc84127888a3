package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"waybill/internal/archive"
	"waybill/internal/environments"
	"waybill/internal/job"
	"waybill/internal/joblog"
	"waybill/internal/runtimes"
	"waybill/internal/sandbox"
)

// Furnish sees to the environment the program needs, the libraries a lock file names for example: it is taken from the
// store, or built, which may take minutes. What happens goes into the log. It is called once, between Prepare and Run, and
// ends with ctx. What can not be built is a job.Invalid error: WordEnvironmentFailed, or what Prepare may say.
func (e *Execution) Furnish(ctx context.Context) error {
	err := e.furnish(ctx)
	if err != nil {
		return e.maskError(err)
	}
	return nil
}

func (e *Execution) furnish(ctx context.Context) error {
	settings := e.buildSettings()
	tree := e.command.tree
	recipe, err := e.runner.runtimes.Recipe(ctx, runtimes.Wish{
		Program: e.program(tree), Command: e.command.Command, Dependencies: e.point.Dependencies,
		Account: e.req.Job.AccountID, Package: e.req.Package.entry.key, Env: settings,
		Run: func(ctx context.Context, s runtimes.Step, out io.Writer) error {
			return e.step(ctx, s, filepath.Join(e.dir, "tmp"), filepath.Join(e.dir, "tmp"), nil, out)
		},
	})
	if err != nil || recipe == nil {
		return err
	}
	for _, note := range recipe.Notes {
		if err := e.Notef("%s", note); err != nil {
			return err
		}
	}
	lease, err := e.environment(ctx, recipe, settings)
	if err != nil {
		return err
	}
	if recipe.Moves {
		if tree, err = e.move(ctx, recipe, lease.Dir); err != nil {
			return err
		}
		e.own = maps.Clone(e.own)
		e.own["WAYBILL_PACKAGE_DIR"] = tree
		if err := e.resolveMacros(); err != nil {
			return err
		}
	}
	_, err = e.settle(tree, recipe, lease.Dir)
	return err
}

// environment takes the environment from the store.
func (e *Execution) environment(ctx context.Context, recipe *runtimes.Recipe, settings map[string]string) (*environments.Lease, error) {
	hidden := slices.Collect(maps.Values(passwords(settings)))
	masker := joblog.NewMasker(e.masker, hidden) // which hides the job's own secrets
	began, built := time.Now(), false
	lease, err := e.runner.environments.Use(ctx, environments.Build{
		Key: recipe.Key, Output: masker, Done: e.runner.cache.hold(e.req.Package),
		Begins: func() { built = true; _ = e.Notef("building the %s", recipe.Title) },
		Waits:  func() { _ = e.Notef("waiting for the %s, which is being built for another job", recipe.Title) },
		Make: func(ctx context.Context, dir string, out io.Writer) error {
			return e.build(ctx, recipe, dir, settings, out)
		},
	})
	err = errors.Join(err, masker.Flush(), e.masker.Flush(), e.lines.End())
	if err != nil {
		return nil, err
	}
	e.shared = append(e.shared, lease)
	if built {
		err = e.Notef("built the %s in %s", recipe.Title, time.Since(began).Round(time.Millisecond))
	}
	return lease, err
}

// build runs the steps of a recipe. It may outlive the job that began it, where others wait for the environment, so it
// uses nothing of the job's folder.
func (e *Execution) build(ctx context.Context, recipe *runtimes.Recipe, dir string, settings map[string]string, out io.Writer) error {
	temp := filepath.Join(dir, ".temp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		return err
	}
	steps, err := recipe.Lay(runtimes.Building{Tree: e.req.Package.Dir, Dir: dir, Temp: temp, Copy: copyTree})
	if err != nil {
		return err
	}
	for _, s := range steps {
		err := e.step(ctx, s, dir, temp, settings, out)
		var failed *stepError
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &failed):
			return job.Wrap(err, job.Invalid, job.WordEnvironmentFailed, "The %s could not be built: %s; the log has its output", recipe.Title, failed)
		case err != nil:
			return err
		}
	}
	return archive.Remove(temp)
}

// stepError is a step that ended, but not well.
type stepError struct {
	program string
	ending  sandbox.Ending
}

func (f *stepError) Error() string {
	if f.ending.Limit != "" {
		return fmt.Sprintf("%s was ended: %s", f.program, f.ending.LimitText)
	}
	if f.ending.Signal != "" {
		return fmt.Sprintf("%s was ended by signal %s", f.program, f.ending.Signal)
	}
	return fmt.Sprintf("%s ended with exit code %d", f.program, f.ending.ExitCode)
}

// stepGrace is how long a step may take to end when its build is given up.
const stepGrace = 2 * time.Second

// buildProcesses bounds what a build starts: install scripts are programs of strangers. Compilers run side by side.
const buildProcesses = 2000

// buildLimits are those of every step: memory and processors as for a job. The store looks at what has a name in the
// environment; that of disk space is for what has none.
func (r *Runner) buildLimits() sandbox.Limits {
	most := r.cfg.Environments.Max
	return sandbox.Limits{
		Memory: r.cfg.JobLimits.Memory, CPUs: r.cfg.JobLimits.CPUs, Processes: buildProcesses, FileSize: most, Disk: 2 * most,
	}
}

// toolFiles are settings of the machine for the tools that build, and what pip tells indexes of the machine.
var toolFiles = []string{"/etc/pip.conf", "/etc/xdg/pip", "/etc/npmrc", "/usr/etc/npmrc", "/etc/uv", "/etc/debian_version", "/etc/lsb-release", "/etc/redhat-release"}

// step runs one command in the sandbox. It may write to one folder only.
func (e *Execution) step(ctx context.Context, s runtimes.Step, write, temp string, settings map[string]string, out io.Writer) error {
	vars := map[string]string{"HOME": temp, "TMPDIR": temp, "PYTHONUNBUFFERED": "1"}
	for _, name := range passed {
		if v, set := os.LookupEnv(name); set {
			vars[name] = v
		}
	}
	maps.Copy(vars, settings)
	maps.Copy(vars, s.Env)
	read := append([]string{e.req.Package.Dir}, s.Read...)
	for _, name := range slices.Concat(toolFiles, e.runner.ownSettings()) {
		if filepath.IsAbs(name) && filepath.Clean(name) != "/" {
			if _, err := os.Stat(name); err == nil { // a folder of wheels, a certificate
				read = append(read, name)
			}
		}
	}
	var env []string
	for k, v := range vars {
		env = append(env, k+"="+v)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	p, err := e.runner.sandbox.Start(sandbox.Program{
		Path: s.Path, Argv: s.Argv, Dir: s.Dir, Env: env, Output: w, Read: read, Write: []string{write}, NoNetwork: e.runner.cfg.NoNetwork,
		Limits: e.runner.buildLimits(),
	})
	_ = w.Close()
	if err != nil {
		return startError(err, s.Path)
	}
	copied := make(chan error, 1)
	go func() { _, err := io.Copy(out, r); copied <- err }()
	ending, err := p.Wait(ctx, stepGrace)
	_ = r.SetReadDeadline(time.Now().Add(sandbox.DrainTime)) // all writers are dead
	<-copied
	switch {
	case err != nil:
		return err
	case ending.Stopped:
		return context.Cause(ctx)
	case ending.ExitCode != 0:
		return &stepError{filepath.Base(s.Path), ending}
	default:
		return nil
	}
}

// buildVariables are the settings of the tools that build environments: they are taken from the worker's environment, and
// macros of the same name come before them. docs/packages.md lists them.
var buildVariables = []string{
	"PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX", "PIP_TRUSTED_HOST", "PIP_CERT", "PIP_CONSTRAINT",
	"UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "UV_NATIVE_TLS", "NPM_CONFIG_REGISTRY", "NPM_CONFIG_CAFILE",
	"NPM_TOKEN", "NODE_EXTRA_CA_CERTS", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy",
	"all_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "SOURCE_DATE_EPOCH",
}

// buildNames lists all of them.
func (r *Runner) buildNames() []string {
	return slices.Concat(buildVariables, r.cfg.Environments.Variables)
}

// ownSettings are the values of the worker's own environment. Builds may read the files that these name, and only these: a
// macro is whatever whoever starts a job likes, the data folder for example.
func (r *Runner) ownSettings() []string {
	var values []string
	for _, name := range r.buildNames() {
		values = append(values, os.Getenv(name))
	}
	return values
}

func (e *Execution) buildSettings() map[string]string {
	settings := map[string]string{}
	for _, name := range e.runner.buildNames() {
		if v, set := os.LookupEnv(name); set {
			settings[name] = v
		}
		if v, set := e.resolved.known[name]; set {
			settings[name] = v
		}
	}
	return settings
}

// passwords are those in addresses among the settings.
func passwords(settings map[string]string) map[string]string {
	found := map[string]string{}
	for name, value := range settings {
		if u, err := url.Parse(value); err == nil && u.User != nil {
			if p, ok := u.User.Password(); ok && p != "" {
				found[name] = p
			}
		}
		if name == "NPM_TOKEN" {
			found[name] = value
		}
	}
	return found
}

// move gives the program a tree in which its libraries lie beside it.
func (e *Execution) move(ctx context.Context, recipe *runtimes.Recipe, environment string) (string, error) {
	if recipe.Whole {
		return recipe.Copied(environment), nil
	}
	libraries := runtimes.NodeModules(environment, recipe.Folder)
	link := filepath.Join(filepath.FromSlash(recipe.Folder), "node_modules")
	if !e.runner.sandbox.Enforced() { // it has a copy of its own
		return e.command.tree, os.Symlink(libraries, filepath.Join(e.command.tree, link))
	}
	key := recipe.Key[:32] + e.req.Package.entry.key[:32]
	lease, err := e.runner.environments.Use(ctx, environments.Build{
		Key: key, Done: e.runner.cache.hold(e.req.Package),
		Make: func(_ context.Context, dir string, _ io.Writer) error {
			tree := recipe.Copied(dir)
			if err := linkTree(e.req.Package.Dir, tree); err != nil {
				return err
			}
			return os.Symlink(libraries, filepath.Join(tree, link))
		},
	})
	if err != nil {
		return "", err
	}
	e.shared = append(e.shared, lease)
	return recipe.Copied(lease.Dir), nil
}

// linkTree makes a second tree of the same files. Nobody can write to them: neither the sandbox nor their mode lets him.
func linkTree(from, to string) error {
	return remakeTree(from, to, func(name, target string) error {
		if os.Link(name, target) == nil {
			return nil
		}
		return copyFile(name, target) // the file system has no links, or not that many
	})
}

// hold keeps a package that is in use in use, until the function returned is called.
func (c *Cache) hold(l *Lease) (release func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.entry.users++
	return func() { c.release(l.entry) }
}
