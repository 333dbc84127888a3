package storagetest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgresVariable names the environment variable with the URL of a PostgreSQL server for tests; test/bin/with-postgres
// starts one and sets it.
const PostgresVariable = "WAYBILL_TEST_POSTGRES"

var databases atomic.Int64

// PostgresURL makes an empty database for this test alone, drops it afterwards, and returns its URL. Without a server the
// test is skipped.
func PostgresURL(t testing.TB) string {
	t.Helper()
	server := os.Getenv(PostgresVariable)
	if server == "" {
		t.Skipf("%s is not set: no PostgreSQL to test against (run it under test/bin/with-postgres)", PostgresVariable)
	}
	// Several test binaries may share the server.
	name := fmt.Sprintf("waybill_%d_%d_%d", os.Getpid(), time.Now().UnixNano(), databases.Add(1))
	if err := atServer(t.Context(), server, "CREATE DATABASE "+name); err != nil {
		t.Fatalf("create a database at %s: %v", PostgresVariable, err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		if err := atServer(context.Background(), server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop database %s: %v", name, err)
		}
	})
	to, err := url.Parse(server)
	if err != nil {
		t.Fatalf("%s is not a URL: %v", PostgresVariable, err)
	}
	to.Path = "/" + name
	return to.String()
}

func atServer(ctx context.Context, server, statement string) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(ctx, statement)
	return err
}
