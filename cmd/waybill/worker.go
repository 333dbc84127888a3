package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"waybill/internal/app"
	"waybill/internal/app/settings"
)

func newWorker() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run the jobs of one destination, in a process beside waybill up or on another machine",
		Long: "Run the jobs of one destination. Database, object store and Temporal are those of the Waybill that runs on the data\n" +
			"folder (--data) on this machine, unless settings name others. A first signal drains: running jobs have\n" +
			"--drain-timeout to end; a second one ends at once.",
		Args: noArguments,
		RunE: withSettings(runWorker),
	}
	settings.AddFlags(cmd.Flags(), settings.WorkerOnly)
	return cmd
}

// runWorker serves until a signal comes. A worker whose components have moved is started again.
func runWorker(cmd *cobra.Command, s settings.Settings) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	log := newLogger(cmd.ErrOrStderr(), s)
	for {
		w, err := app.StartWorker(ctx, s, log)
		if err != nil {
			if ctx.Err() != nil { // told to end while starting
				return nil
			}
			return err
		}
		i := w.Info()
		fmt.Fprintf(out, "Worker %s runs jobs of destination %s (%d), %d at once.\nSandbox: %s\n",
			i.ID, i.Destination.Name, i.Destination.ID, i.Concurrency, i.Sandbox)
		err = w.Wait(ctx)
		if ctx.Err() != nil {
			fmt.Fprintln(out, "Stopping: running jobs have", s.DrainTimeout, "to end; a second signal ends at once.")
		}
		stopped := w.Stop(context.WithoutCancel(ctx))
		if ctx.Err() != nil || !errors.Is(err, app.ErrMoved) {
			return errors.Join(err, stopped)
		}
		log.WarnContext(ctx, "the worker starts again", "reason", err)
	}
}
