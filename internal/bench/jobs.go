package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	temporal "go.temporal.io/sdk/client"

	"waybill/internal/app"
	"waybill/internal/app/settings"
	"waybill/internal/client"
	"waybill/internal/password"
	"waybill/internal/standalone"
)

// Options are what a caller of Jobs chooses.
type Options struct {
	N           int // jobs of the concurrent phases
	Serial      int // jobs of the serial phases
	Concurrency int
	Settings    settings.Settings // data folder, addresses and password are set by Jobs
	Log         *slog.Logger
	Out         io.Writer // takes a line for every phase, as it ends
}

// Report is what Jobs measured, each pair serial then concurrent.
type Report struct {
	StartupTime  time.Duration
	Jobs         []Figures
	BareTuned    []Figures // bare workflows on the same running server as the jobs
	BareDefaults []Figures // bare workflows on the same embedded server with its own default settings
}

// noop is the package of the benchmark: the smallest program that a shell runs.
const noop = "#!/bin/sh\nexit 0\n"

// Jobs measures no-op jobs through REST, then bare workflows on the same server, then bare workflows on a server with
// default settings. Everything lives in a temporary folder that is removed at the end.
func Jobs(ctx context.Context, o Options) (r Report, err error) {
	folder, err := os.MkdirTemp("", "waybill-bench-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if err := o.tuned(ctx, filepath.Join(folder, "waybill"), &r); err != nil {
		return r, err
	}
	return r, o.defaults(ctx, filepath.Join(folder, "bare"), &r)
}

func (o Options) tuned(ctx context.Context, folder string, r *Report) (err error) {
	s := o.Settings
	s.Data, s.AdminPassword = folder, password.Random()
	s.Listen, s.EngineListen, s.EngineUIListen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	s.BaseURL = ""
	a, err := app.Start(ctx, s, o.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Stop(context.WithoutCancel(ctx))) }()
	r.StartupTime = a.Info().StartupTime
	api := client.New(a.Info().URL, o.Concurrency)
	config, err := prepare(ctx, api, a.Info().AdminUser, s.AdminPassword)
	if err != nil {
		return err
	}
	engine, err := o.dial(ctx, a.Info().TemporalAddress, a.Info().TemporalToken)
	if err != nil {
		return err
	}
	defer engine.Close()
	r.Jobs, err = o.both(ctx, "Waybill job", engine, func(ctx context.Context) error { return runJob(ctx, api, config) })
	if err != nil {
		return err
	}
	r.BareTuned, err = o.bare(ctx, "bare workflow, same server", engine)
	return err
}

func (o Options) defaults(ctx context.Context, folder string, r *Report) (err error) {
	engine, err := standalone.Start(ctx, standalone.Config{
		Dir: folder, TemporalListen: "127.0.0.1:0", UIListen: "127.0.0.1:0", Logger: o.Log, ServerDefaults: true, Open: true,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Stop(context.WithoutCancel(ctx))) }()
	c, err := o.dial(ctx, engine.TemporalAddress(), engine.Token())
	if err != nil {
		return err
	}
	defer c.Close()
	r.BareDefaults, err = o.bare(ctx, "bare workflow, server defaults", c)
	return err
}

// both measures a unit one at a time and then many at once, after a few that warm up.
func (o Options) both(ctx context.Context, name string, engine temporal.Client, unit func(context.Context) error) ([]Figures, error) {
	settled := func(ctx context.Context) error { return allClosed(ctx, engine) }
	if _, err := measure(ctx, name+", warm-up", 2*o.Concurrency, o.Concurrency, unit, settled); err != nil {
		return nil, err
	}
	var all []Figures
	for _, phase := range []struct{ n, concurrency int }{{o.Serial, 1}, {o.N, o.Concurrency}} {
		f, err := measure(ctx, name, phase.n, phase.concurrency, unit, settled)
		if err != nil {
			return nil, err
		}
		fmt.Fprintln(o.Out, f)
		all = append(all, f)
	}
	return all, nil
}

func prepare(ctx context.Context, api *client.Client, user, password string) (config string, err error) {
	if err := api.Login(ctx, user, password); err != nil {
		return "", err
	}
	c, err := api.CreateConfig(ctx, client.Config{Name: "bench", Active: true})
	if err != nil {
		return "", err
	}
	if _, err := api.Upload(ctx, c.ID, "noop.sh", strings.NewReader(noop)); err != nil {
		return "", err
	}
	c.Runtime = &client.Runtime{PackageName: "noop.sh", EntryPoint: "noop.sh"}
	c, err = api.ReplaceConfig(ctx, c.ID, c)
	return c.ID, err
}

// runJob starts a job and waits for its end; a job that does not finish well ends the measurement.
func runJob(ctx context.Context, api *client.Client, config string) error {
	j, err := api.Run(ctx, config, time.Minute)
	for err == nil && !j.Final() {
		j, err = api.Job(ctx, j.ID, time.Minute)
	}
	if err == nil && j.Status != "FINISHED" {
		err = fmt.Errorf("job %s is %s (%s)", j.ID, j.Status, j.Reason)
	}
	return err
}

// Heading names the columns of Figures.String.
const Heading = "                                     n  at once      per s        p50        p95        p99  CPU s/1000   peak RSS"

func (f Figures) String() string {
	return fmt.Sprintf("%-30s %7d %8d %10.1f %10s %10s %10s %11.2f %7d MiB", f.Name, f.N, f.Concurrency, f.PerSecond,
		millis(f.P50), millis(f.P95), millis(f.P99), f.CPU.Seconds(), f.PeakRSS>>20)
}

func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }

// Ratios compares the jobs with the bare workflows, in words.
func (r Report) Ratios() string {
	var b strings.Builder
	for _, other := range [][]Figures{r.BareDefaults, r.BareTuned} {
		for i, phase := range []string{"one at a time", "many at once"} {
			fmt.Fprintf(&b, "%s: %.2f x the jobs/s and %.2f x the p50 of: %s\n", phase,
				r.Jobs[i].PerSecond/other[i].PerSecond, float64(r.Jobs[i].P50)/float64(other[i].P50), other[i].Name)
		}
	}
	return b.String()
}
