package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"waybill/internal/app"
	"waybill/internal/app/settings"
)

// Exit codes. A command that ran a job for its caller may end with others (quickstart --exit).
const (
	exitOK     = 0
	exitFailed = 1 // the command could not do its work
	exitUsage  = 2 // wrong flags, arguments or settings
)

// exitError makes the program end with a code and no further words.
type exitError struct{ code int }

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

// usageError marks faults of the command line and the settings.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// run executes a command line and returns the exit code. A first signal ends ctx, and unhook then lets a second one kill
// the program at once.
func run(ctx context.Context, unhook func(), args []string, stdout, stderr io.Writer) int {
	go func() {
		<-ctx.Done()
		unhook()
	}()
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var exit exitError
	var usage usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &exit):
		return exit.code
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		fmt.Fprintln(stderr, "waybill: "+line)
	}
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:               "waybill",
		Short:             "Run integration packages as durable jobs",
		SilenceUsage:      true,
		SilenceErrors:     true,
		Version:           app.Version(),
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	group(root)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newUp(), newAPI(), newWorker(), newHealth(), newMigrate(), newAdmin(), newDoctor(), newQuickstart(), newBench(), newAccount(), newKeys(), newPackage(), newTemporal(), newVersion())
	return root
}

// group makes cmd one that only holds others: it shows its help, and refuses other words as a fault of the command line.
func group(cmd *cobra.Command) {
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usageError{fmt.Errorf("unknown command %q; %s --help lists them", args[0], cmd.CommandPath())}
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

// noArguments refuses arguments as a fault of the command line.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no arguments, not %q", cmd.CommandPath(), args[0])}
	}
	return nil
}

// withSettings makes a RunE of a function that needs the settings.
func withSettings(fn func(cmd *cobra.Command, s settings.Settings) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		s, err := settings.Load(cmd.Flags())
		if err != nil {
			return usageError{err}
		}
		return fn(cmd, s)
	}
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "waybill", app.Version())
			return err
		},
	}
}
