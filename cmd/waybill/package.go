package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"waybill/internal/manifest"
	"waybill/internal/pack"
)

func newPackage() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "package",
		Short: "Make packages and check them; needs no server",
	}
	group(cmd)
	cmd.AddCommand(newPackageInit(), newPackageBuild(), newPackageInspect(), newPackageVerify(), newPackageSchema())
	return cmd
}

// oneArgument refuses other numbers of arguments as a fault of the command line.
func oneArgument(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError{fmt.Errorf("%s takes %s", cmd.CommandPath(), what)}
		}
		return nil
	}
}

func newPackageInit() *cobra.Command {
	var runtime string
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "Write a small package that can be run; overwrites nothing",
		Args:  oneArgument("the folder of the new package"),
		RunE: func(cmd *cobra.Command, args []string) error {
			names, err := pack.Init(args[0], runtime)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "wrote %s\nnext: waybill package build %s\n", strings.Join(names, ", "), args[0])
			return err
		},
	}
	cmd.Flags().StringVar(&runtime, "runtime", "python", "what it is written for: "+strings.Join(pack.Runtimes(), ", "))
	return cmd
}

func newPackageBuild() *cobra.Command {
	var out string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "build DIR",
		Short: "Make the archive of a folder: the same files give the same bytes",
		Long: "Make the archive of a folder. The same files give the same bytes, and so the same SHA-256, with the same version of Waybill.\n" +
			"What " + pack.IgnoreFile + " names stays out, one pattern a line, as in a .dockerignore.",
		Args: oneArgument("the folder of the package"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				out = pack.FileName(args[0])
			}
			r, err := pack.Build(cmd.Context(), args[0], out)
			if err != nil {
				return err
			}
			return showReport(cmd.OutOrStdout(), r, asJSON)
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "the archive, .djar, .jar, .zip, .tar.gz or .tgz (default NAME-VERSION.djar of waybill.yaml)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "show the result as JSON")
	return cmd
}

func newPackageInspect() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect PATH",
		Short: "Show what an upload of a package, or of the package of a folder, would see",
		Args:  oneArgument("a folder or a package"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := pack.Inspect(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return showReport(cmd.OutOrStdout(), r, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "show it as JSON")
	return cmd
}

func newPackageVerify() *cobra.Command {
	var asJSON, strict bool
	cmd := &cobra.Command{
		Use:   "verify PATH",
		Short: "Check a package, or the package of a folder, with the code of the upload; ends with 1 if it would be refused",
		Args:  oneArgument("a folder or a package"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := pack.Inspect(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if strict {
				r.Errors, r.Warnings = append(r.Errors, r.Warnings...), []manifest.Fault{}
			}
			if asJSON {
				return showReport(cmd.OutOrStdout(), r, true)
			}
			for _, f := range r.Warnings {
				fmt.Fprintf(cmd.OutOrStdout(), "warning: %s\n", f)
			}
			for _, f := range r.Errors {
				fmt.Fprintf(cmd.OutOrStdout(), "error: %s\n", f)
			}
			if !r.OK() {
				return exitError{exitFailed}
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is fine: %d entry points, %d warnings\n", r.Package, len(r.EntryPoints), len(r.Warnings))
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "show it as JSON")
	cmd.Flags().BoolVar(&strict, "strict", false, "take warnings for errors")
	return cmd
}

func newPackageSchema() *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of waybill.yaml, for editors", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(manifest.Schema)
			return err
		},
	}
}

// showReport ends the program with a failure when an upload would be refused.
func showReport(w io.Writer, r *pack.Report, asJSON bool) error {
	var err error
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		err = e.Encode(r)
	} else {
		_, err = io.WriteString(w, r.Text())
	}
	if err == nil && !r.OK() {
		return exitError{exitFailed}
	}
	return err
}
