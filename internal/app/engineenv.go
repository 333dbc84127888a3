package app

import (
	"fmt"
	"io"
	"strings"

	"waybill/internal/app/datafolder"
	"waybill/internal/app/settings"
	"waybill/internal/standalone"
)

// WriteTemporalEnv writes what makes the temporal command, and any client of the SDK that reads its settings from the
// environment, talk to the embedded Temporal of a data folder, as lines for a POSIX shell.
func WriteTemporalEnv(w io.Writer, s settings.Settings) error {
	run, err := datafolder.ReadRun(s.Data)
	if err != nil {
		return fmt.Errorf("no Waybill runs on the data folder %s: %w", s.Data, err)
	}
	if run.TemporalUI == "" {
		return fmt.Errorf("the Waybill on the data folder %s uses a Temporal of somebody else's, at %s: sign in as that one wants", s.Data, run.TemporalAddress)
	}
	lines := [][2]string{{"TEMPORAL_ADDRESS", run.TemporalAddress}, {"TEMPORAL_NAMESPACE", run.TemporalNamespace}}
	if !run.TemporalOpen {
		token, err := standalone.ReadToken(s.Data)
		if err != nil {
			return err
		}
		lines = append(lines, [2]string{"TEMPORAL_API_KEY", token}, [2]string{"TEMPORAL_TLS", "false"})
	}
	for _, line := range lines {
		if _, err := fmt.Fprintf(w, "export %s='%s'\n", line[0], strings.ReplaceAll(line[1], "'", `'\''`)); err != nil {
			return err
		}
	}
	return nil
}
