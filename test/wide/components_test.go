package wide

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"go.temporal.io/api/workflowservice/v1"
)

// unprepared is a server that can not be started, and tells why.
func unprepared(name string, err error) *process { return &process{name: name, logs: err.Error()} }

// prepare makes folder and port of a server.
func (s *servers) prepare(name string) (dir string, port int, err error) {
	dir = filepath.Join(s.dir, name)
	if err = os.MkdirAll(dir, 0o755); err == nil {
		port, err = freePort()
	}
	return dir, port, err
}

// postgres makes the database cluster. Unlike the one of test/bin/with-postgres it keeps what it has promised, so that it may be
// killed; only fsync is off, since the machine itself does not fail.
func (s *servers) postgres(p programs) *process {
	dir, port, err := s.prepare("postgres")
	if err != nil {
		return unprepared("PostgreSQL", err)
	}
	data := filepath.Join(dir, "data")
	as := func(cmd *exec.Cmd) *exec.Cmd {
		cmd.Dir, cmd.Env = dir, environment()
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.owner}
		return cmd
	}
	if p.owner != nil {
		if err := os.Chown(dir, int(p.owner.Uid), int(p.owner.Gid)); err != nil {
			return unprepared("PostgreSQL", err)
		}
	}
	make := as(exec.Command(filepath.Join(p.postgres, "initdb"), "-D", data, "-U", "waybill", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"))
	if text, err := make.CombinedOutput(); err != nil {
		return unprepared("PostgreSQL", fmt.Errorf("initdb: %w\n%s", err, text))
	}
	settings := []string{
		"listen_addresses=127.0.0.1", fmt.Sprintf("port=%d", port), "unix_socket_directories=", "max_connections=300", "fsync=off",
		"full_page_writes=off", "logging_collector=off", "shared_buffers=64MB",
	}
	s.databaseAt = fmt.Sprintf("127.0.0.1:%d", port)
	return &process{
		name: "PostgreSQL", logs: s.logs("postgres"),
		cmd: func() *exec.Cmd {
			arguments := []string{"-D", data}
			for _, v := range settings {
				arguments = append(arguments, "-c", v)
			}
			return as(exec.Command(filepath.Join(p.postgres, "postgres"), arguments...))
		},
		up: func(ctx context.Context, _ *process) error {
			db, err := s.open("postgres")
			if err != nil {
				return err
			}
			defer db.Close()
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			return db.PingContext(ctx)
		},
	}
}

func (s *servers) minio(p programs) *process {
	dir, port, err := s.prepare("minio")
	if err != nil {
		return unprepared("MinIO", err)
	}
	s.objectsAt = fmt.Sprintf("127.0.0.1:%d", port)
	return &process{
		name: "MinIO", logs: s.logs("minio"),
		cmd: func() *exec.Cmd {
			cmd := exec.Command(p.minio, "server", "--address", s.objectsAt, filepath.Join(dir, "data"))
			cmd.Env = append(environment(), "MINIO_ROOT_USER="+accessKey, "MINIO_ROOT_PASSWORD="+secretKey, "MINIO_BROWSER=off", "MINIO_UPDATE=off")
			return cmd
		},
		up: answers("http://" + s.objectsAt + "/minio/health/ready"),
	}
}

// temporal is the server's own command, with the settings of its own example for PostgreSQL; its tables are made by its own tool.
func (s *servers) temporal(p programs) *process {
	dir, front, err := s.prepare("temporal")
	if err != nil {
		return unprepared("Temporal", err)
	}
	var ports []any
	for range 8 {
		port, err := freePort()
		if err != nil {
			return unprepared("Temporal", err)
		}
		ports = append(ports, port)
	}
	s.engineAt = fmt.Sprintf("127.0.0.1:%d", front)
	dynamic, err := filepath.Abs("../../deployments/compose/temporal-dynamic.yaml")
	if err != nil {
		return unprepared("Temporal", err)
	}
	config := filepath.Join(dir, "config.yaml")
	text := fmt.Sprintf(temporalConfig, append([]any{s.databaseAt, front, dynamic}, ports...)...)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return unprepared("Temporal", err)
	}
	prepared := false
	return &process{
		name: "Temporal", logs: s.logs("temporal"),
		cmd: func() *exec.Cmd {
			if !prepared {
				if err := s.makeTemporalTables(p.schemas); err != nil {
					return exec.Command("sh", "-c", `echo "$0"; exit 1`, err.Error())
				}
				prepared = true
			}
			cmd := exec.Command(p.temporal, "--config-file", config, "--allow-no-auth", "start")
			cmd.Dir, cmd.Env = dir, environment()
			return cmd
		},
		up: func(ctx context.Context, _ *process) error {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			c, err := s.connect(ctx, "temporal-system")
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: "temporal-system"})
			return err
		},
	}
}

// makeTemporalTables runs the server's schema tool.
func (s *servers) makeTemporalTables(tool string) error {
	host, port, _ := strings.Cut(s.databaseAt, ":")
	for database, schema := range map[string]string{"temporal": "postgresql/v12/temporal", "temporal_visibility": "postgresql/v12/visibility"} {
		for _, step := range [][]string{{"create-database", "--defaultdb", "postgres"}, {"setup-schema", "--version", "0.0"}, {"update-schema", "--schema-name", schema}} {
			arguments := append([]string{"--endpoint", host, "--port", port, "--user", "waybill", "--plugin", "postgres12", "--database", database}, step...)
			cmd := exec.Command(tool, arguments...)
			cmd.Env = environment()
			if text, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("temporal-sql-tool %s: %w\n%s", step[0], err, text)
			}
		}
	}
	return nil
}

const temporalConfig = `
log: {stdout: true, level: warn}
persistence:
  defaultStore: default
  visibilityStore: visibility
  numHistoryShards: 4
  datastores:
    default:
      sql: {pluginName: postgres12, databaseName: temporal, connectAddr: "%[1]s", connectProtocol: tcp, user: waybill, maxConns: 10, maxIdleConns: 10, maxConnLifetime: 1h}
    visibility:
      sql: {pluginName: postgres12, databaseName: temporal_visibility, connectAddr: "%[1]s", connectProtocol: tcp, user: waybill, maxConns: 5, maxIdleConns: 5, maxConnLifetime: 1h}
global:
  membership: {maxJoinDuration: 30s, broadcastAddress: 127.0.0.1}
services:
  frontend: {rpc: {grpcPort: %[2]d, membershipPort: %[4]d, httpPort: %[11]d, bindOnLocalHost: true}}
  matching: {rpc: {grpcPort: %[5]d, membershipPort: %[6]d, bindOnLocalHost: true}}
  history: {rpc: {grpcPort: %[7]d, membershipPort: %[8]d, bindOnLocalHost: true}}
  worker: {rpc: {grpcPort: %[9]d, membershipPort: %[10]d, bindOnLocalHost: true}}
clusterMetadata:
  enableGlobalNamespace: false
  failoverVersionIncrement: 10
  masterClusterName: active
  currentClusterName: active
  clusterInformation:
    active: {enabled: true, initialFailoverVersion: 1, rpcName: frontend, rpcAddress: "127.0.0.1:%[2]d"}
dcRedirectionPolicy: {policy: noop}
dynamicConfigClient: {filepath: "%[3]s", pollInterval: 10s}
`
