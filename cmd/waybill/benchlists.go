package main

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/spf13/cobra"

	"waybill/internal/app"
	"waybill/internal/app/settings"
	"waybill/internal/bench/lists"
	"waybill/storage/sqlstore/seed"
)

func newBenchLists() *cobra.Command {
	o := lists.Options{}
	only := ""
	cmd := &cobra.Command{
		Use:   "lists",
		Short: "Measure reads of jobs in a small and in a large installation",
		Long: "Fill a database for each number of jobs, ask each the same questions in turns, and print how long they take and how much longer in\n" +
			"the last than in the first. On SQLite the databases are files in a temporary folder; with " + settings.Name("database") + " they are databases\n" +
			"of its own that are created on that server and dropped afterwards, so the user needs CREATEDB. The database of the URL is left alone.\n" +
			"A million jobs take 2 GB of disk and some minutes.",
		Args: noArguments,
		RunE: withSettings(func(cmd *cobra.Command, s settings.Settings) (err error) {
			if len(o.Jobs) < 2 || o.N < 1 {
				return usageError{errors.New("--jobs takes two numbers or more, --n is 1 or more")}
			}
			for _, jobs := range o.Jobs {
				if jobs < lists.Fewest {
					return usageError{fmt.Errorf("--jobs takes numbers from %d on: %d of them wait", lists.Fewest, seed.Unfinished)}
				}
			}
			if only != "" {
				if o.Only, err = regexp.Compile(only); err != nil {
					return usageError{fmt.Errorf("--only is a regular expression: %w", err)}
				}
			}
			o.Database, o.Out = app.Database(s), cmd.OutOrStdout()
			return lists.Measure(cmd.Context(), o)
		}),
	}
	settings.AddFlags(cmd.Flags(), settings.Tool)
	cmd.Flags().IntSliceVar(&o.Jobs, "jobs", []int{10_000, 1_000_000}, "jobs of each database")
	cmd.Flags().IntVar(&o.N, "n", 200, "times each question is asked of each database, fewer if that takes longer than 20 s")
	cmd.Flags().StringVar(&only, "only", "", "regular expression for the names of the questions to ask")
	return cmd
}
