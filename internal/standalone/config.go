package standalone

import (
	"context"
	"log/slog"
	"path/filepath"
)

// Namespace is the Temporal namespace of the embedded engine.
const Namespace = "default"

// Config says where the engine keeps its data and where it listens.
type Config struct {
	// Dir is Waybill's data folder. The engine uses engine/ (Temporal's files, nothing else), objects/ and, where the file
	// system has no extended attributes, object-metadata/ below it.
	Dir string
	// TemporalListen is the address of Temporal's gRPC frontend; port 0 chooses a free one. Default 127.0.0.1:7233.
	TemporalListen string
	// UIListen is the loopback address of the Temporal Web UI; port 0 chooses a free one. Default 127.0.0.1:8233.
	UIListen string
	// WithoutTemporal leaves out the Temporal server and its Web UI, WithoutObjects the object store: somebody else's are
	// used.
	WithoutTemporal, WithoutObjects bool
	// Postgres keeps the engine's data in PostgreSQL databases instead of the SQLite file of engine/.
	Postgres *Postgres
	// Open lets everybody in who reaches the frontend or the Web UI. Otherwise the frontend demands the token of the data
	// folder, and the Web UI what SignIn says.
	Open bool
	// SignIn checks who asks for a page of the Web UI. It is called at every request, from the address remote (host only). An
	// error is for the log; a person who may not come in is told so by ErrRefused. Nil refuses everybody.
	SignIn func(ctx context.Context, user, password, remote string) error
	// Logger takes the engine's warnings and errors. Default slog.Default().
	Logger *slog.Logger
	// ServerDefaults starts the Temporal server with its own default settings and tables instead of ours. For
	// `waybill bench`, which compares the two on a folder of its own.
	ServerDefaults bool
}

// The flags a person sets the two addresses with; errors name them.
const (
	temporalFlag = "--engine-listen"
	uiFlag       = "--engine-ui-listen"
)

func (c Config) withDefaults() Config {
	if c.TemporalListen == "" {
		c.TemporalListen = "127.0.0.1:7233"
	}
	if c.UIListen == "" {
		c.UIListen = "127.0.0.1:8233"
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

func (c Config) engineDir() string   { return filepath.Join(c.Dir, "engine") }
func (c Config) objectsDir() string  { return filepath.Join(c.Dir, "objects") }
func (c Config) metadataDir() string { return filepath.Join(c.Dir, "object-metadata") }
