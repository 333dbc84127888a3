package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"waybill/examples"
	"waybill/internal/app"
	"waybill/internal/app/datafolder"
	"waybill/internal/app/settings"
	"waybill/internal/client"
)

func newQuickstart() *cobra.Command {
	var exit bool
	cmd := &cobra.Command{
		Use:   "quickstart",
		Short: "Start Waybill and run the sample package through the REST API, step by step",
		Args:  noArguments,
		RunE: withSettings(func(cmd *cobra.Command, s settings.Settings) error {
			code := exitOK
			if exit {
				code = exitFailed // also when a signal comes before the job has ended
			}
			err := serve(cmd, s, func(ctx context.Context, a *app.App) error {
				t := tutorial{out: cmd.OutOrStdout(), api: client.New("http://"+a.Info().Listen, 2)}
				job, err := t.run(ctx, a, s)
				if err != nil {
					return err
				}
				if !exit {
					fmt.Fprintln(t.out, "Waybill keeps serving at the addresses above; Ctrl-C ends it.")
					return nil
				}
				if code, err = strconv.Atoi(job.ReturnCode); err != nil || job.Status != "FINISHED" && code == 0 {
					code = exitFailed
				}
				return errDone
			})
			if err == nil && code != 0 {
				return exitError{code}
			}
			return err
		}),
	}
	settings.AddFlags(cmd.Flags(), settings.Up)
	cmd.Flags().BoolVar(&exit, "exit", false, "end after the job, with the job's exit status")
	return cmd
}

// tutorial makes the five steps of the vendor's quick-start tutorial over the REST API, as any client would.
type tutorial struct {
	out io.Writer
	api *client.Client
}

const sampleConfig = "sample config"

func (t *tutorial) run(ctx context.Context, a *app.App, s settings.Settings) (client.Job, error) {
	step := func(n int, format string, args ...any) {
		fmt.Fprintf(t.out, "%d. %s\n", n, fmt.Sprintf(format, args...))
	}
	user, password, err := credentials(a, s)
	if err != nil {
		return client.Job{}, err
	}
	if err := t.api.Login(ctx, user, password); err != nil {
		return client.Job{}, fmt.Errorf("log in: %w", err)
	}
	step(1, "POST /api/login: signed in as %s", user)

	c, err := t.config(ctx)
	if err != nil {
		return client.Job{}, fmt.Errorf("create the job config: %w", err)
	}
	step(2, "POST /api/jobconfigs: job config %s, %q", c.ID, c.Name)

	var archive bytes.Buffer
	if err := examples.WriteSample(&archive); err != nil {
		return client.Job{}, fmt.Errorf("pack the sample: %w", err)
	}
	f, err := t.api.Upload(ctx, c.ID, examples.SampleName, &archive)
	if err != nil {
		return client.Job{}, fmt.Errorf("upload the package: %w", err)
	}
	step(3, "POST /api/jobconfigs/%s/files: %s, %d bytes, sha256 %.12s...", c.ID, f.Name, f.Metadata.Size, f.Metadata.SHA256)

	c.Runtime = &client.Runtime{PackageName: examples.SampleName, EntryPoint: examples.SampleEntryPoint}
	if c, err = t.api.ReplaceConfig(ctx, c.ID, c); err != nil {
		return client.Job{}, fmt.Errorf("set package and entry point: %w", err)
	}
	step(4, "PUT /api/jobconfigs/%s: package %s, entry point %s", c.ID, c.Runtime.PackageName, c.Runtime.EntryPoint)

	j, err := t.api.Run(ctx, c.ID, 0)
	if err != nil {
		return client.Job{}, fmt.Errorf("run the job: %w", err)
	}
	step(5, "POST /api/jobconfigs/%s/jobs: job %s is %s; its log:\n", c.ID, j.ID, j.Status)
	return t.follow(ctx, j)
}

// config makes the tutorial's job config, or takes the one an earlier quickstart on this data folder made.
func (t *tutorial) config(ctx context.Context) (client.Config, error) {
	c, err := t.api.CreateConfig(ctx, client.Config{Active: true, Name: sampleConfig, Description: "this is sample config created from API"})
	if client.CodeOf(err) == "duplicate_name" {
		return t.api.ConfigNamed(ctx, sampleConfig)
	}
	return c, err
}

func (t *tutorial) follow(ctx context.Context, j client.Job) (client.Job, error) {
	if err := t.api.FollowLog(ctx, j.ID, &indent{w: t.out, fresh: true}); err != nil {
		return j, fmt.Errorf("follow the log: %w", err)
	}
	j, err := t.api.Job(ctx, j.ID, time.Minute)
	if err != nil {
		return j, fmt.Errorf("look the job up: %w", err)
	}
	fmt.Fprintf(t.out, "\n   Job %s is %s, exit code %s, after %s. Its output files:\n", j.ID, j.Status, j.ReturnCode, j.Duration)
	files, err := t.api.Outputs(ctx, j.ID)
	if err != nil {
		return j, fmt.Errorf("list the output files: %w", err)
	}
	for _, f := range files {
		fmt.Fprintf(t.out, "\n   %s (%d bytes)\n", f.Name, f.Metadata.Size)
		if err := t.api.Output(ctx, j.ID, f.Name, &indent{w: t.out, fresh: true}); err != nil {
			return j, fmt.Errorf("read output file %s: %w", f.Name, err)
		}
	}
	fmt.Fprintf(t.out, "\n   %s\n\n", j.Href)
	return j, nil
}

// credentials finds the admin's password where the first start put it.
func credentials(a *app.App, s settings.Settings) (user, password string, err error) {
	user = a.Info().AdminUser
	if s.AdminPassword != "" {
		return user, s.AdminPassword, nil
	}
	password, err = datafolder.ReadAdminPassword(s.Data)
	if err != nil {
		err = errors.New("the admin's password is not in the data folder; give it as " + settings.EnvName("admin-password"))
	}
	return user, password, err
}

// indent shifts text to the right, so that a job's words stand apart from ours.
type indent struct {
	w     io.Writer
	fresh bool // at the beginning of a line
}

func (i *indent) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		if i.fresh {
			if _, err := io.WriteString(i.w, "   | "); err != nil {
				return 0, err
			}
		}
		if _, err := i.w.Write(line); err != nil {
			return 0, err
		}
		i.fresh = line[len(line)-1] == '\n'
	}
	return len(p), nil
}
