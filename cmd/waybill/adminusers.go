package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"waybill/internal/app"
	"waybill/internal/app/settings"
	"waybill/internal/control"
	"waybill/internal/password"
)

// operatorCommand makes a command that works on the database; names is how many arguments it takes.
func operatorCommand(use, short string, names int, fn func(cmd *cobra.Command, o *app.Operator, args []string) error) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != names {
				return usageError{fmt.Errorf("%s takes %d arguments, not %d", cmd.CommandPath(), names, len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := settings.Load(cmd.Flags())
			if err != nil {
				return usageError{err}
			}
			o, err := app.OpenOperator(cmd.Context(), s)
			if err != nil {
				return err
			}
			return errors.Join(fn(cmd, o, args), o.Close())
		},
	}
	settings.AddFlags(cmd.Flags(), settings.Tool)
	return cmd
}

func newUsers() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Users: make, list, give a new password, keep out, let in"}
	group(cmd)
	cmd.AddCommand(newUserCreate(), newUserList(), newUserReset(), newUserActive("deactivate", false), newUserActive("activate", true))
	return cmd
}

// wordOf reads a password from standard input, or makes one that is to be shown.
func wordOf(cmd *cobra.Command, generate bool) (word string, err error) {
	if generate {
		return password.Random(), nil
	}
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil && line == "" {
		return "", usageError{errors.New("no password on standard input; --generate makes one")}
	}
	return strings.TrimRight(line, "\r\n"), nil
}

func newUserCreate() *cobra.Command {
	var account string
	var admin, generate bool
	cmd := operatorCommand("create NAME", "Make a user; the password is the first line of standard input", 1, func(cmd *cobra.Command, o *app.Operator, args []string) error {
		word, err := wordOf(cmd, generate)
		if err != nil {
			return err
		}
		return o.Act(cmd.Context(), "user.create", "user", func(ctx context.Context) error {
			u, err := o.Users.Create(ctx, account, args[0], word, admin)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "user %s (id %d) in account %s\n", u.Name, u.ID, account)
			return show(cmd, generate, word)
		})
	})
	cmd.Flags().StringVar(&account, "account", control.DefaultAccount, "account of the user")
	cmd.Flags().BoolVar(&admin, "admin", false, "the user is an admin of the account")
	cmd.Flags().BoolVar(&generate, "generate", false, "make a random password and print it")
	return cmd
}

// show prints a password that was made here; a given one never.
func show(cmd *cobra.Command, generated bool, word string) error {
	if !generated {
		return nil
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "password: %s\n", word)
	return err
}

func newUserList() *cobra.Command {
	var account string
	cmd := operatorCommand("list", "List the users of an account", 0, func(cmd *cobra.Command, o *app.Operator, _ []string) error {
		_, list, err := o.Users.List(cmd.Context(), account)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tNAME\tADMIN\tACTIVE\tMADE")
		for _, u := range list {
			fmt.Fprintf(w, "%d\t%s\t%t\t%t\t%s\n", u.ID, u.Name, u.Admin, u.Active, u.CreatedAt.Format(time.RFC3339))
		}
		return w.Flush()
	})
	cmd.Flags().StringVar(&account, "account", control.DefaultAccount, "account of the users")
	return cmd
}

func newUserReset() *cobra.Command {
	var generate bool
	cmd := operatorCommand("reset-password NAME", "Give a user a new password, from standard input, and end all of the user's logins", 1, func(cmd *cobra.Command, o *app.Operator, args []string) error {
		word, err := wordOf(cmd, generate)
		if err != nil {
			return err
		}
		return o.Act(cmd.Context(), "user.password.reset", "user", func(ctx context.Context) error {
			u, ended, err := o.Users.ResetPassword(ctx, args[0], word)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "user %s has a new password; %d logins ended\n", u.Name, ended)
			return show(cmd, generate, word)
		})
	})
	cmd.Flags().BoolVar(&generate, "generate", false, "make a random password and print it")
	return cmd
}

func newUserActive(verb string, active bool) *cobra.Command {
	short := "Let a user sign in again"
	if !active {
		short = "End all logins of a user and let there be no more"
	}
	return operatorCommand(verb+" NAME", short, 1, func(cmd *cobra.Command, o *app.Operator, args []string) error {
		return o.Act(cmd.Context(), "user."+verb, "user", func(ctx context.Context) error {
			u, ended, err := o.Users.SetActive(ctx, args[0], active)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "user %s: active %t; %d logins ended\n", u.Name, active, ended)
			return err
		})
	})
}

func newAudit() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "The audit log"}
	group(cmd)
	var from, to, format string
	export := operatorCommand("export", "Write the audit log of all accounts to standard output", 0, func(cmd *cobra.Command, o *app.Operator, _ []string) error {
		since, err := momentOf("--from", from)
		if err != nil {
			return err
		}
		until, err := momentOf("--to", to)
		if err != nil {
			return err
		}
		f := control.AuditFormat(format)
		if f != control.AuditNDJSON && f != control.AuditCSV {
			return usageError{fmt.Errorf("--format is ndjson or csv, not %q", format)}
		}
		return o.ExportAudit(cmd.Context(), since, until, f, cmd.OutOrStdout())
	})
	export.Flags().StringVar(&from, "from", "", "first moment, such as 2026-01-31 or 2026-01-31T12:00:00Z")
	export.Flags().StringVar(&to, "to", "", "moment before which the last entry is")
	export.Flags().StringVar(&format, "format", string(control.AuditNDJSON), "ndjson or csv")
	cmd.AddCommand(export)
	return cmd
}

func momentOf(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usageError{fmt.Errorf("%s is a date such as 2026-01-31 or 2026-01-31T12:00:00Z, not %q", flag, s)}
}
