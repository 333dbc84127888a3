package main

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"waybill/internal/app"
	"waybill/internal/app/settings"
)

func newAccount() *cobra.Command {
	cmd := &cobra.Command{Use: "account", Short: "Manage accounts (tenants)"}
	group(cmd)
	create := &cobra.Command{
		Use:   "create NAME",
		Short: "Make an account with its first admin; the password is read from standard input",
		Long: "Make an account with its first admin, in the data folder's database. It may be used while Waybill runs.\n" +
			"The password is the first line of standard input.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("%s takes the name of the account", cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := settings.Load(cmd.Flags())
			if err != nil {
				return usageError{err}
			}
			admin, err := cmd.Flags().GetString("admin")
			if err != nil {
				return err
			}
			if admin == "" {
				return usageError{fmt.Errorf("--admin is required: the name of the account's first admin")}
			}
			line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
			if err != nil && line == "" {
				return usageError{fmt.Errorf("no password on standard input")}
			}
			account, user, err := app.CreateAccount(cmd.Context(), s, args[0], admin, strings.TrimRight(line, "\r\n"))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "account %s (id %d), admin %s (id %d)\n", account.Name, account.ID, user.Name, user.ID)
			return err
		},
	}
	settings.AddFlags(create.Flags(), settings.Up)
	create.Flags().String("admin", "", "name of the account's first admin (required)")
	cmd.AddCommand(create)
	return cmd
}
