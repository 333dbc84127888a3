package standalone

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// holdKey is the advisory lock that the process with the engine holds on its database: "waybill" in ASCII.
	holdKey = 0x77617962696c6c
	// holdPatience is how long a start waits for the lock of a process that has just ended or was killed.
	holdPatience = 15 * time.Second
	holdCheck    = 2 * time.Second
)

// hold keeps a second Temporal server off the engine's databases. Neither server would know of the other: each would take
// all shards for its own and take them from the other again and again.
type hold struct {
	store   *postgresStore
	conn    *pgx.Conn
	lost    chan error // at most one: somebody else has the engine now
	end     context.CancelFunc
	stopped chan struct{}
}

// take waits for the engine of the databases, and holds it until it is let go.
func (s *postgresStore) take(ctx context.Context) (*hold, error) {
	h := &hold{store: s, lost: make(chan error, 1), stopped: make(chan struct{})}
	over := time.Now().Add(holdPatience)
	for told := false; ; told = true {
		taken, err := h.try(ctx)
		if err == nil {
			break
		}
		if !taken || ctx.Err() != nil || time.Now().After(over) {
			return nil, err
		}
		if !told {
			s.log.WarnContext(ctx, "waiting for the engine's database to be free", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(300 * time.Millisecond):
		}
	}
	watch, end := context.WithCancel(context.WithoutCancel(ctx))
	h.end = end
	go h.keep(watch)
	return h, nil
}

// try connects and takes the lock. taken tells that somebody else has it, which the error is about.
func (h *hold) try(ctx context.Context) (taken bool, err error) {
	c := h.store.at(h.store.store, "waybill engine")
	for name, value := range map[string]string{"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"} {
		c.RuntimeParams[name] = value // so that the lock of a machine that is gone is free soon
	}
	conn, err := h.store.connect(ctx, c)
	if err != nil {
		return false, err
	}
	var got bool
	if err = conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", int64(holdKey)).Scan(&got); err == nil && got {
		h.conn = conn
		return false, nil
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing depends on it
	if err != nil {
		return false, fmt.Errorf("take the engine's database %s: %w", h.store.store, err)
	}
	return true, fmt.Errorf("another Waybill runs its Temporal server on the database %s%s: two would take each other's workflows. "+
		"Stop it; or give this one %s and %s of its own; or let it use that Waybill's Temporal by --temporal",
		h.store.store, holder(ctx, conn), storeFlag, visibilityFlag)
}

// holder names who has the lock, as far as this user may see it.
func holder(ctx context.Context, conn *pgx.Conn) string {
	var pid int
	var from, since string
	err := conn.QueryRow(ctx, `SELECT a.pid, coalesce(host(a.client_addr), 'a socket'), to_char(a.backend_start, 'YYYY-MM-DD HH24:MI:SS TZ')
		FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted
		AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND ((l.classid::bigint << 32) | l.objid::bigint) = $1`, int64(holdKey)).Scan(&pid, &from, &since)
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (database session %d, from %s, since %s)", pid, from, since)
}

// keep looks after the connection: the lock ends with it. When the database server was away, the lock is taken again; if
// another process was faster, this one must end.
func (h *hold) keep(ctx context.Context) {
	defer close(h.stopped)
	ticker := time.NewTicker(holdCheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		limited, cancel := context.WithTimeout(ctx, dialTimeout)
		switch {
		case h.conn == nil:
			if taken, err := h.try(limited); taken && err != nil {
				cancel()
				h.lost <- err
				return
			}
		case h.conn.Ping(limited) != nil && ctx.Err() == nil:
			_ = h.conn.Close(limited) // it is broken
			h.conn = nil
		}
		cancel()
	}
}

// letGo gives the engine back.
func (h *hold) letGo(ctx context.Context) error {
	h.end()
	<-h.stopped
	if h.conn == nil {
		return nil
	}
	if err := h.conn.Close(ctx); err != nil {
		return fmt.Errorf("let go of the engine's database: %w", err)
	}
	return nil
}
