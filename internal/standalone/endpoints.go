package standalone

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"waybill/internal/standalone/s3gateway"
)

// endpointsFile keeps, for the owner of the data folder only, where the engine's parts listened last and the object store's
// keys. The next start takes the same ones as far as they can be had, so that a worker process on this machine finds all
// again after a restart.
const endpointsFile = "endpoints.json"

// Endpoints is where the parts of an embedded engine are reached. A part that somebody else's is used for has none.
type Endpoints struct {
	Temporal string                `json:"temporal,omitempty"` // host:port
	S3       s3gateway.Credentials `json:"s3,omitzero"`
}

// ReadEndpoints reads what the last start on a data folder kept.
func ReadEndpoints(dir string) (e Endpoints, err error) {
	text, err := os.ReadFile(filepath.Join(dir, endpointsFile))
	if err == nil {
		err = json.Unmarshal(text, &e)
	}
	if err != nil {
		return Endpoints{}, fmt.Errorf("read the engine's addresses: %w", err)
	}
	return e, nil
}

// lastEndpoints is ReadEndpoints for a start: what is missing or broken is made anew.
func lastEndpoints(dir string) Endpoints {
	e, err := ReadEndpoints(dir)
	if err != nil {
		return Endpoints{}
	}
	return e
}

// keepEndpoints writes down what has changed since the last start.
func (e *Engine) keepEndpoints(dir string) error {
	last := lastEndpoints(dir)
	now := last
	if e.temporal != nil {
		now.Temporal = e.temporal.address
	}
	if e.s3 != nil {
		now.S3 = e.s3.Credentials()
	}
	if now == last {
		return nil
	}
	text, err := json.MarshalIndent(now, "", "  ")
	if err == nil {
		err = writeFile(filepath.Join(dir, endpointsFile), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("keep the engine's addresses: %w", err)
	}
	return nil
}

// sameAsLast puts the port of the last start in the place of port 0, which lets us choose, when it is free.
func sameAsLast(listen, last string) string {
	host, port, err := net.SplitHostPort(listen)
	lastHost, lastPort, lastErr := net.SplitHostPort(last)
	if err != nil || lastErr != nil || port != "0" || host != lastHost {
		return listen
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, lastPort))
	if err != nil || l.Close() != nil {
		return listen
	}
	return last
}
