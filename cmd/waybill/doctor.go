package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"waybill/internal/app"
	"waybill/internal/app/settings"
)

func newDoctor() *cobra.Command {
	cmd := &cobra.Command{
		Use: "doctor", Short: "Check every dependency and say what to do", Args: noArguments,
		Long: "Check database, object store, Temporal, mail server and this machine, as the settings name them, else those of the data\n" +
			"folder. It ends with 1 if something fails; with --strict also for a warning.",
	}
	var asJSON, strict bool
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	cmd.Flags().BoolVar(&strict, "strict", false, "take warnings for failures")
	cmd.RunE = withSettings(func(cmd *cobra.Command, s settings.Settings) error {
		findings := app.Diagnose(cmd.Context(), s)
		failed := false
		for _, f := range findings {
			failed = failed || f.Level == app.LevelFail || strict && f.Level == app.LevelWarn
		}
		var err error
		if asJSON {
			e := json.NewEncoder(cmd.OutOrStdout())
			e.SetIndent("", "  ")
			err = e.Encode(findings)
		} else {
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, f := range findings {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Level, f.ID, f.Finding, f.Advice)
			}
			err = w.Flush()
		}
		if err == nil && failed {
			return exitError{exitFailed}
		}
		return err
	})
	settings.AddFlags(cmd.Flags(), settings.Tool)
	return cmd
}
