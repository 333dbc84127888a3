package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"waybill/internal/app"
	"waybill/internal/app/settings"
)

func newAPI() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "api",
		Short: "Serve REST, beside others, on a database, an object store and a Temporal of somebody else's",
		Long: "Serve REST. Any number of these processes may serve one installation; jobs run in waybill worker. Tables are made by\n" +
			"waybill migrate. A first signal stops after the calls that are being answered; a second one ends at once.",
		Args: noArguments,
		RunE: withSettings(runAPI),
	}
	settings.AddFlags(cmd.Flags(), settings.API)
	return cmd
}

func runAPI(cmd *cobra.Command, s settings.Settings) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	a, err := app.StartAPI(ctx, s, newLogger(cmd.ErrOrStderr(), s))
	if err != nil {
		if ctx.Err() != nil { // told to end while starting
			return nil
		}
		return err
	}
	i := a.Info()
	fmt.Fprintf(out, "API %s listens on %s; clients reach it at %s/api.\n", i.ID, i.Listen, i.URL)
	err = a.Wait(ctx)
	return errors.Join(err, a.Stop(context.WithoutCancel(ctx)))
}
