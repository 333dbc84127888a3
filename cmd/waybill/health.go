package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// healthAnswer bounds how much of an answer is shown.
const healthAnswer = 4 << 10 // bytes

// newHealth makes the probe of containers, whose images have no other HTTP client.
func newHealth() *cobra.Command {
	var within time.Duration
	cmd := &cobra.Command{
		Use: "health [URL]", Short: "Ask a Waybill process whether it is ready (default URL http://127.0.0.1:8080/readyz)",
		Long: "Ask a Waybill process whether it is ready, show what it says, and exit with 0 if it is and 1 if not. For health checks\n" +
			"of containers and units; balancers ask /readyz themselves.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("%s takes one URL", cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			address := "http://127.0.0.1:8080/readyz"
			if len(args) == 1 {
				address = args[0]
			}
			if u, err := url.Parse(address); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
				return usageError{fmt.Errorf("%q is not a URL such as http://127.0.0.1:8080/readyz", address)}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), within)
			defer cancel()
			return askHealth(ctx, address, cmd.OutOrStdout())
		},
	}
	cmd.Flags().DurationVar(&within, "timeout", 3*time.Second, "time for the answer")
	return cmd
}

func askHealth(ctx context.Context, address string, out io.Writer) (err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return usageError{err}
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	if _, err := io.Copy(out, io.LimitReader(answer.Body, healthAnswer)); err != nil {
		return err
	}
	fmt.Fprintln(out)
	if answer.StatusCode != http.StatusOK {
		return exitError{exitFailed}
	}
	return nil
}
