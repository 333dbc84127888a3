package main

import (
	"github.com/spf13/cobra"

	"waybill/internal/app"
	"waybill/internal/app/settings"
)

func newTemporal() *cobra.Command {
	cmd := &cobra.Command{Use: "temporal", Short: "Use the embedded Temporal with Temporal's own tools"}
	group(cmd)
	env := &cobra.Command{
		Use:   "env",
		Short: "Print what lets the temporal command talk to the embedded Temporal",
		Long: "Print environment variables for the temporal command, for a shell: eval \"$(waybill temporal env)\". They hold the token of\n" +
			"the embedded Temporal, which only the user of waybill up can read; do not print them where others see them.",
		Args: noArguments,
		RunE: withSettings(func(cmd *cobra.Command, s settings.Settings) error {
			return app.WriteTemporalEnv(cmd.OutOrStdout(), s)
		}),
	}
	settings.AddFlags(env.Flags(), settings.Tool)
	cmd.AddCommand(env)
	return cmd
}
