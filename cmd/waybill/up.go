package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"waybill/internal/app"
	"waybill/internal/app/settings"
	"waybill/internal/logs"
)

func newUp() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run all of Waybill in this process, with its data in one folder",
		Args:  noArguments,
		RunE: withSettings(func(cmd *cobra.Command, s settings.Settings) error {
			return serve(cmd, s, func(context.Context, *app.App) error { return nil })
		}),
	}
	settings.AddFlags(cmd.Flags(), settings.Up)
	return cmd
}

// errDone, returned by the work of serve, ends the program well.
var errDone = errors.New("done")

// serve starts the app, says where it is, does the work, and keeps serving until a signal comes, the engine fails, or the
// work answers with an error. Everything is stopped before it returns.
func serve(cmd *cobra.Command, s settings.Settings, work func(context.Context, *app.App) error) error {
	relaxGC()
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	log := newLogger(cmd.ErrOrStderr(), s)
	a, err := app.Start(ctx, s, log)
	if err != nil {
		if ctx.Err() != nil { // told to end while starting
			return nil
		}
		return err
	}
	printAddresses(out, a)
	err = work(ctx, a)
	if err == nil {
		err = a.Wait(ctx)
	}
	if ctx.Err() != nil {
		fmt.Fprintln(out, "Stopping: running jobs have", s.DrainTimeout, "to end; a second signal ends at once.")
	}
	stopped := a.Stop(context.WithoutCancel(ctx))
	if errors.Is(err, errDone) || ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		err = nil
	}
	return errors.Join(err, stopped)
}

func printAddresses(w io.Writer, a *app.App) {
	i := a.Info()
	fmt.Fprintf(w, "Waybill %s is ready after %s.\n\n", app.Version(), i.StartupTime.Round(1e6))
	fmt.Fprintf(w, "  REST API         %s/api\n", i.URL)
	if !strings.HasSuffix(i.URL, "//"+i.Listen) {
		fmt.Fprintf(w, "  listening on     %s\n", i.Listen)
	}
	fmt.Fprintf(w, "  API docs         %s/docs\n", i.URL)
	if i.TemporalUI != "" {
		fmt.Fprintf(w, "  Temporal Web UI  %s\n", i.TemporalUI)
	}
	fmt.Fprintf(w, "  Temporal gRPC    %s (namespace %s)\n", i.TemporalAddress, i.TemporalNamespace)
	fmt.Fprintf(w, "  Data folder      %s\n", i.Data)
	fmt.Fprintf(w, "  Sandbox          %s\n", i.Sandbox)
	if i.NewAdminPassword != "" {
		fmt.Fprintf(w, "\n  User admin was made with the password %s\n", i.NewAdminPassword)
		fmt.Fprintf(w, "  It is shown this once and kept in %s (mode 0600).\n", i.AdminPasswordFile)
	}
	fmt.Fprintln(w)
}

func newLogger(w io.Writer, s settings.Settings) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil { // the settings were checked
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "json" {
		return slog.New(logs.NewHandler(slog.NewJSONHandler(w, options)))
	}
	return slog.New(logs.NewHandler(slog.NewTextHandler(w, options)))
}
