package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"waybill/internal/app/settings"
	"waybill/internal/bench"
)

func newBench() *cobra.Command {
	cmd := &cobra.Command{Use: "bench", Short: "Measure this machine"}
	group(cmd)
	o := bench.Options{}
	jobs := &cobra.Command{
		Use:   "jobs",
		Short: "Measure no-op jobs through REST to their end, and bare Temporal workflows beside them",
		Long: "Measure no-op jobs through REST to their terminal status, one at a time and many at once, and in the same run bare\n" +
			"one-activity Temporal workflows: on the same server, and on the same embedded server with its default settings.\n" +
			"Everything runs in this process, in a temporary folder, on free ports.",
		Args: noArguments,
		RunE: withSettings(func(cmd *cobra.Command, s settings.Settings) error {
			if o.N < 1 || o.Serial < 1 || o.Concurrency < 1 {
				return usageError{errors.New("--n, --serial and --concurrency are 1 or more")}
			}
			relaxGC()
			out := cmd.OutOrStdout()
			if s.LogLevel == "info" {
				s.LogLevel = "warn" // lines of the log between those of the table help nobody
			}
			o.Settings, o.Log, o.Out = s, newLogger(cmd.ErrOrStderr(), s), out
			fmt.Fprintln(out, bench.Heading)
			r, err := bench.Jobs(cmd.Context(), o)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "\nready after %s\n%s", r.StartupTime.Round(1e6), r.Ratios())
			return nil
		}),
	}
	settings.AddFlags(jobs.Flags(), settings.Up)
	jobs.Flags().IntVar(&o.N, "n", 2000, "jobs of the concurrent phases")
	jobs.Flags().IntVar(&o.Serial, "serial", 300, "jobs of the serial phases")
	jobs.Flags().IntVar(&o.Concurrency, "concurrency", 32, "jobs at once in the concurrent phases")
	cmd.AddCommand(jobs, newBenchPackages(), newBenchLists())
	return cmd
}

func newBenchPackages() *cobra.Command {
	o := bench.Options{}
	packages := &cobra.Command{
		Use:   "packages",
		Short: "Measure no-op programs of each runtime beside their bare interpreters, and packages of several sizes",
		Long: "Measure a no-op of each runtime: its bare interpreter, the runner without a sandbox, and the runner with it, in turns. Then\n" +
			"upload packages of up to a gigabyte through REST, and run each for the first time and again. Needs 5 GB of disk.",
		Args: noArguments,
		RunE: withSettings(func(cmd *cobra.Command, s settings.Settings) error {
			if o.Serial < 1 {
				return usageError{errors.New("--n is 1 or more")}
			}
			if s.LogLevel == "info" {
				s.LogLevel = "error" // lines of the log between those of the table help nobody
			}
			o.Settings, o.Log, o.Out = s, newLogger(cmd.ErrOrStderr(), s), cmd.OutOrStdout()
			return bench.Packages(cmd.Context(), o)
		}),
	}
	settings.AddFlags(packages.Flags(), settings.Up)
	packages.Flags().IntVar(&o.Serial, "n", 50, "times each program and package is run")
	return packages
}
