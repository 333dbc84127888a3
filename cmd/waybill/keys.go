package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"waybill/internal/app"
	"waybill/internal/app/settings"
	"waybill/internal/control"
)

func newKeys() *cobra.Command {
	cmd := &cobra.Command{
		Use: "keys", Short: "Replace the keys that secrets are sealed with, while Waybill runs",
		Long: "Secrets in the database are sealed with sealing keys, which are in the database too, each sealed with the master key.\n" +
			"The newest sealing key seals; all of them open.",
	}
	group(cmd)
	cmd.AddCommand(
		keysCommand("list", "List the keys and what each seals", listKeys),
		keysCommand("rotate", "Make a new sealing key and seal everything with it; the old one stays until it is dropped", rotateKeys),
		keysCommand("reseal", "Seal everything with the newest sealing key; may be broken off and repeated", resealKeys),
		keysCommand("new-master", "Take a new master key into use beside the present one", newMaster),
		keysCommand("drop-master ID", "Take a master key out of use; processes that have only that one end", dropMaster),
	)
	force := false
	drop := keysCommand("drop ID", "Delete a sealing key that seals nothing any more", func(ctx context.Context, k *app.Keyring, out io.Writer, args []string) error {
		if err := k.Drop(ctx, args[0], force); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "Sealing key %s is gone.\n", args[0])
		return err
	})
	drop.Flags().BoolVar(&force, "force", false, "also when access tokens signed with it may be in use, whose users sign in again, API keys are, which end, or workflows need it, which then stand still")
	cmd.AddCommand(drop)
	return cmd
}

type keysRun func(ctx context.Context, k *app.Keyring, out io.Writer, args []string) error

func keysCommand(use, short string, fn keysRun) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if want := len(strings.Fields(use)) - 1; len(args) != want {
				return usageError{fmt.Errorf("%s takes %d arguments, not %d", cmd.CommandPath(), want, len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := settings.Load(cmd.Flags())
			if err != nil {
				return usageError{err}
			}
			k, err := app.OpenKeyring(cmd.Context(), s)
			if err != nil {
				return err
			}
			run := func(ctx context.Context) error { return fn(ctx, k, cmd.OutOrStdout(), args) }
			if verb, _, _ := strings.Cut(use, " "); verb == "list" {
				err = run(cmd.Context())
			} else {
				err = k.Act(cmd.Context(), "keys."+verb, run)
			}
			return errors.Join(err, k.Close(context.WithoutCancel(cmd.Context())))
		},
	}
	settings.AddFlags(cmd.Flags(), settings.Up)
	return cmd
}

func listKeys(ctx context.Context, k *app.Keyring, out io.Writer, _ []string) error {
	keys, err := k.List(ctx)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SEALING KEY\tMADE\tSEALS\tAPI KEYS\tMASTER KEYS\tWHERE")
	for _, u := range keys {
		var where []string
		for place, n := range u.Sealed {
			if n > 0 {
				where = append(where, fmt.Sprintf("%s %d", place, n))
			}
		}
		slices.Sort(where)
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\n", u.ID, u.CreatedAt.Format(time.RFC3339), u.Total, u.Signed, strings.Join(u.Masters, " "), strings.Join(where, ", "))
	}
	return w.Flush()
}

func rotateKeys(ctx context.Context, k *app.Keyring, out io.Writer, args []string) error {
	id, err := k.Rotate(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Sealing key %s is made.\n", id)
	if err := resealKeys(ctx, k, out, args); err != nil {
		return err
	}
	fmt.Fprintln(out, "Processes that run may seal with the old key for some seconds more; waiting for them.")
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(control.KeyRefresh + 2*time.Second):
	}
	return resealKeys(ctx, k, out, args)
}

func resealKeys(ctx context.Context, k *app.Keyring, out io.Writer, _ []string) error {
	n, err := k.Reseal(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d values are sealed anew with key %s.\n", n, k.Ring.Newest())
	schedules, err := k.ResealSchedules(ctx)
	if err != nil {
		return fmt.Errorf("what schedules in Temporal hold is not sealed anew (repeat it with: waybill keys reseal): %w", err)
	}
	if schedules > 0 {
		_, err = fmt.Fprintf(out, "What %d schedules in Temporal start workflows with is sealed anew.\n", schedules)
	}
	return err
}

func newMaster(ctx context.Context, k *app.Keyring, out io.Writer, _ []string) error {
	id, err := k.NewMaster(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "Master key %s is in use. Give it to all processes, then drop the old one.\n", strings.Trim(id, "[]"))
	return err
}

func dropMaster(ctx context.Context, k *app.Keyring, out io.Writer, args []string) error {
	if err := k.DropMaster(ctx, args[0]); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "Master key %s is out of use.\n", args[0])
	return err
}
