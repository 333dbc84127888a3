package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"waybill/internal/app"
	"waybill/internal/app/settings"
	"waybill/storage/sqlstore"
)

// exitPending is how migrate status ends when tables are older than the program.
const exitPending = 3

func newMigrate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "migrate", Short: "Make the database's tables fit this version, take them back, or tell where they are",
		Long: "Make the database's tables fit this version. waybill up does so by itself; waybill api and waybill worker wait until it is\n" +
			"done. Processes of the version before go on with newer tables: migrate first, then exchange the processes.\n" +
			"One migration at a time changes a database; others wait for it.",
	}
	group(cmd)
	cmd.AddCommand(newMigrateUp(), newMigrateDown(), newMigrateStatus())
	return cmd
}

func newMigrateUp() *cobra.Command {
	cmd := &cobra.Command{
		Use: "up", Short: "Bring the tables to this program's version; may be repeated, and run while Waybill runs", Args: noArguments,
		RunE: withSchema(app.SchemaUp, func(cmd *cobra.Command, s *app.Schema) error {
			done, err := s.Up(cmd.Context())
			for _, m := range done {
				fmt.Fprintf(cmd.OutOrStdout(), "%s made in %s\n", m.Name, m.Took.Round(time.Millisecond))
			}
			if err != nil {
				return err
			}
			return tellVersion(cmd, s)
		}),
	}
	settings.AddFlags(cmd.Flags(), settings.Tool)
	return cmd
}

func newMigrateDown() *cobra.Command {
	var to int64
	var steps int
	var yes bool
	cmd := &cobra.Command{
		Use: "down", Short: "Take the tables back to an older version; what only newer ones have room for is lost", Args: noArguments,
		Long: "Take the tables back, for a return to an older version of Waybill. Give --to or --steps. What only the newer tables have\n" +
			"room for is lost: make a backup, and stop all processes of the newer version first. Without --yes it only tells what\n" +
			"it would undo.",
	}
	settings.AddFlags(cmd.Flags(), settings.Tool)
	cmd.Flags().Int64Var(&to, "to", 0, "version to go back to; 0 removes all tables")
	cmd.Flags().IntVar(&steps, "steps", 0, "how many migrations to undo")
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	run := withSchema(app.SchemaDown, func(cmd *cobra.Command, s *app.Schema) error {
		list, err := s.Status(cmd.Context())
		if err != nil {
			return err
		}
		undo := above(list, to)
		if steps > 0 {
			undo, to = last(list, steps)
		}
		if !yes && len(undo) > 0 {
			for _, m := range undo {
				fmt.Fprintf(cmd.ErrOrStderr(), "would undo %s\n", nameOf(m))
			}
			return usageError{errors.New("data is lost by this; repeat it with --yes")}
		}
		done, err := s.Down(cmd.Context(), to)
		for _, m := range done {
			fmt.Fprintf(cmd.OutOrStdout(), "%s undone\n", m.Name)
		}
		if err != nil {
			return err
		}
		return tellVersion(cmd, s)
	})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		flags := cmd.Flags()
		if flags.Changed("to") == flags.Changed("steps") || to < 0 || flags.Changed("steps") && steps < 1 {
			return usageError{errors.New("give one of --to VERSION and --steps N")}
		}
		return run(cmd, args)
	}
	return cmd
}

func newMigrateStatus() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "status", Short: "List the migrations and when each was made", Args: noArguments,
		Long: fmt.Sprintf("List the migrations and when each was made. Exit codes: %d when the tables are this program's version or a newer one,\n"+
			"%d when they are older, %d when the database can not be asked, %d for wrong settings.", exitOK, exitPending, exitFailed, exitUsage),
		RunE: withSchema(app.SchemaLook, func(cmd *cobra.Command, s *app.Schema) error {
			list, err := s.Status(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				err = writeStatus(cmd.OutOrStdout(), list)
			} else {
				err = showStatus(cmd.OutOrStdout(), list)
			}
			for _, m := range list {
				if err == nil && m.Applied.IsZero() {
					return exitError{exitPending}
				}
			}
			return err
		}),
	}
	settings.AddFlags(cmd.Flags(), settings.Tool)
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

// withSchema makes a RunE of a function that needs the tables.
func withSchema(use app.SchemaUse, fn func(cmd *cobra.Command, s *app.Schema) error) func(*cobra.Command, []string) error {
	return withSettings(func(cmd *cobra.Command, set settings.Settings) error {
		s, err := app.OpenSchema(cmd.Context(), set, use)
		if err != nil {
			return err
		}
		return errors.Join(fn(cmd, s), s.Close())
	})
}

func tellVersion(cmd *cobra.Command, s *app.Schema) error {
	list, err := s.Status(cmd.Context())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "The tables are at version %d.\n", version(list))
	return err
}

// version is the newest that is applied.
func version(list []sqlstore.Migration) (v int64) {
	for _, m := range list {
		if !m.Applied.IsZero() {
			v = m.Version
		}
	}
	return v
}

// above are the applied migrations that are newer than the version.
func above(list []sqlstore.Migration, to int64) (undo []sqlstore.Migration) {
	for _, m := range list {
		if m.Version > to && !m.Applied.IsZero() {
			undo = append(undo, m)
		}
	}
	return undo
}

// last are the newest n that are applied, and the version below them.
func last(list []sqlstore.Migration, n int) (undo []sqlstore.Migration, to int64) {
	undo = above(list, 0)
	if n >= len(undo) {
		return undo, 0
	}
	cut := len(undo) - n
	return undo[cut:], undo[cut-1].Version
}

func nameOf(m sqlstore.Migration) string {
	if m.Name == "" {
		return fmt.Sprintf("%05d (of a newer program)", m.Version)
	}
	return m.Name
}

func showStatus(out io.Writer, list []sqlstore.Migration) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VERSION\tMIGRATION\tMADE")
	for _, m := range list {
		made := "pending"
		if !m.Applied.IsZero() {
			made = m.Applied.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\n", m.Version, nameOf(m), made)
	}
	return w.Flush()
}

// statusLine is an entry of migrate status --json.
type statusLine struct {
	Version int64      `json:"version"`
	Name    string     `json:"name,omitempty"` // absent: of a newer program
	Made    *time.Time `json:"made,omitempty"` // absent: pending
}

func writeStatus(out io.Writer, list []sqlstore.Migration) error {
	lines := make([]statusLine, len(list))
	for i, m := range list {
		lines[i] = statusLine{Version: m.Version, Name: m.Name}
		if !m.Applied.IsZero() {
			made := m.Applied.UTC()
			lines[i].Made = &made
		}
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(lines)
}
