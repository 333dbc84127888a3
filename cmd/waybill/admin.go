package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"waybill/internal/app"
	"waybill/internal/app/settings"
	"waybill/internal/control"
)

func newAdmin() *cobra.Command {
	cmd := &cobra.Command{
		Use: "admin", Short: "Look after an installation: set it up, users, keys, the namespace, the audit log",
		Long: "Look after an installation, whether or not it runs. Database, object store, Temporal and master key are those of the settings,\n" +
			"else those of the data folder.",
	}
	group(cmd)
	cmd.AddCommand(newSetup(), newUsers(), newKeys(), newNamespace(), newAudit())
	return cmd
}

// defaultNamespaceRetention is Temporal's own: job rows are the truth, and histories are deleted with them at the latest.
const defaultNamespaceRetention = 72 * time.Hour

func addNamespaceRetention(cmd *cobra.Command) *time.Duration {
	return cmd.Flags().Duration("namespace-retention", defaultNamespaceRetention, "how long a namespace that is made keeps closed workflows")
}

func checkNamespaceRetention(d time.Duration) error {
	if d < 24*time.Hour || d > 10*366*24*time.Hour {
		return usageError{fmt.Errorf("--namespace-retention is a duration of at least 24h")}
	}
	return nil
}

func newSetup() *cobra.Command {
	cmd := &cobra.Command{
		Use: "setup", Short: "Make what an installation needs before its first start: tables, bucket, namespace, first admin", Args: noArguments,
		Long: "Make what an installation needs before its first start: tables and sealing keys, the bucket, the namespace of Temporal\n" +
			"with its search attributes, the first account and its user admin, with the password of " + settings.EnvName("admin-password") + " or\n" +
			settings.EnvName("admin-password") + "_FILE. What is there stays as it is, so it may run before every start, and several at once.",
	}
	var o app.SetupOptions
	cmd.Flags().BoolVar(&o.RandomPassword, "print-password", false, "where there is no admin and no password is given, make a random one and print it")
	retention := addNamespaceRetention(cmd)
	cmd.RunE = withSettings(func(cmd *cobra.Command, s settings.Settings) error {
		if err := checkNamespaceRetention(*retention); err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		o.NamespaceRetention = *retention
		o.Tell = func(what, done string) { fmt.Fprintf(out, "%-18s %s\n", what, done) }
		word, err := app.Setup(cmd.Context(), s, newLogger(cmd.ErrOrStderr(), s), o)
		if word != "" { // also if another part failed: it is shown this once only
			fmt.Fprintf(out, "%-18s %s\n", "password of "+control.AdminName, word)
		}
		return err
	})
	settings.AddFlags(cmd.Flags(), settings.Tool)
	return cmd
}

func newNamespace() *cobra.Command {
	cmd := &cobra.Command{Use: "namespace", Short: "The namespace of an external Temporal"}
	group(cmd)
	create := &cobra.Command{
		Use: "create", Short: "Make the namespace, if it is missing, and register its search attributes", Args: noArguments,
	}
	retention := addNamespaceRetention(create)
	create.RunE = withSettings(func(cmd *cobra.Command, s settings.Settings) error {
		if err := checkNamespaceRetention(*retention); err != nil {
			return err
		}
		if s.Temporal.Address == "" {
			return usageError{fmt.Errorf("%s must be given; the embedded Temporal has its namespace", settings.Name("temporal"))}
		}
		made, err := app.CreateNamespace(cmd.Context(), s, newLogger(cmd.ErrOrStderr(), s), *retention)
		if err != nil {
			return err
		}
		word := "was there"
		if made {
			word = "is made"
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Namespace %s %s; its search attributes are registered.\n", s.Temporal.Namespace, word)
		return err
	})
	settings.AddFlags(create.Flags(), settings.Tool)
	cmd.AddCommand(create)
	return cmd
}
