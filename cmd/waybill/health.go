package main

import (
	"context"
	"encoding/json"
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
	var all bool
	cmd := &cobra.Command{
		Use: "health [URL]", Short: "Ask a Waybill process whether it is ready (default URL http://127.0.0.1:8080/readyz)",
		Long: "Ask a Waybill process whether it is ready, show what it says, and exit with 0 if it is and 1 if not. For health checks\n" +
			"of containers and units; balancers ask /readyz themselves. A process that serves REST is ready without what it depends on,\n" +
			"and tells what is down: with --dependencies that is 1, too.",
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
			return askHealth(ctx, address, all, cmd.OutOrStdout())
		},
	}
	cmd.Flags().DurationVar(&within, "timeout", 3*time.Second, "time for the answer")
	cmd.Flags().BoolVar(&all, "dependencies", false, "fail, too, while something it depends on is down")
	return cmd
}

func askHealth(ctx context.Context, address string, all bool, out io.Writer) (err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return usageError{err}
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	text, err := io.ReadAll(io.LimitReader(answer.Body, healthAnswer))
	if err != nil {
		return err
	}
	fmt.Fprintln(out, string(text))
	var told struct{ Status string }
	if answer.StatusCode != http.StatusOK || all && (json.Unmarshal(text, &told) != nil || told.Status != "up") {
		return exitError{exitFailed}
	}
	return nil
}
