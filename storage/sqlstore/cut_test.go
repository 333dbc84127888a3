package sqlstore

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"waybill/internal/control"
	"waybill/internal/job"
	"waybill/internal/limit"
	"waybill/storage/storagetest"
)

// cut is a proxy before PostgreSQL that does as a test says with what a client sends.
type cut struct {
	t        *testing.T
	server   string
	listener net.Listener
	// commit decides what becomes of a COMMIT: whether it goes through, now or when later is closed. Either way the client's
	// connection ends without an answer. Nil: commits pass as everything else.
	mu     sync.Mutex
	commit func() (through bool, later <-chan struct{})
	lose   []byte      // the next request that has it goes through, and its answer is lost
	silent atomic.Bool // nothing goes through any more, and nobody is told
	work   sync.WaitGroup
	conns  map[net.Conn]bool
}

// newCut starts a proxy before the server of the URL and gives the URL that leads through it.
func newCut(t *testing.T, to string) (*cut, string) {
	t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	c := &cut{t: t, server: u.Host, conns: map[net.Conn]bool{}}
	if c.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	c.work.Go(c.accept)
	t.Cleanup(func() {
		_ = c.listener.Close()
		c.mu.Lock()
		for conn := range c.conns {
			_ = conn.Close()
		}
		c.mu.Unlock()
		c.work.Wait()
	})
	u.Host = c.listener.Addr().String()
	return c, u.String()
}

func (c *cut) accept() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", c.server)
		if err != nil {
			_ = client.Close()
			continue
		}
		c.mu.Lock()
		c.conns[client], c.conns[server] = true, true
		c.mu.Unlock()
		c.work.Go(func() { c.requests(client, server) })
		c.work.Go(func() { c.pump(server, client) })
	}
}

// pump passes answers on.
func (c *cut) pump(from, to net.Conn) {
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if c.silent.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// requests passes what the client sends, and looks for a COMMIT: pgx sends it by itself, as a simple query.
func (c *cut) requests(client, server net.Conn) {
	defer server.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if c.silent.Load() {
			continue
		}
		c.mu.Lock()
		commit := c.commit
		lose := len(c.lose) > 0 && bytes.Contains(buffer[:n], c.lose)
		if lose {
			c.lose = nil
		}
		c.mu.Unlock()
		if lose {
			_ = client.Close()
			_, _ = server.Write(buffer[:n])
			_ = server.SetReadDeadline(time.Now().Add(10 * time.Second))
			_, _ = server.Read(buffer) // or pump reads it: either way it is done
			return
		}
		if commit != nil && bytes.HasPrefix(buffer[:n], []byte("Q")) && bytes.Contains(buffer[:n], []byte("commit\x00")) {
			through, later := commit()
			_ = client.Close()
			if later != nil {
				<-later
			}
			if through {
				_, _ = server.Write(buffer[:n])
				_ = server.SetReadDeadline(time.Now().Add(10 * time.Second))
				_, _ = server.Read(buffer) // or pump reads it: either way it is done
			}
			return
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// once makes the next COMMIT go as said, and the others pass.
func (c *cut) once(through bool, later <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.commit = func() (bool, <-chan struct{}) {
		c.mu.Lock()
		c.commit = nil
		c.mu.Unlock()
		return through, later
	}
}

// throughCut opens a store whose connections go through a proxy, on a database that another store has made.
func throughCut(t *testing.T, change func(*Config)) (*Store, *cut, job.Config) {
	t.Helper()
	direct := storagetest.PostgresURL(t)
	config := inhabited(t, opened(t, Config{Driver: Postgres, URL: direct, MaxConns: 4}))
	proxy, through := newCut(t, direct)
	c := Config{Driver: Postgres, URL: through, MaxConns: 4}
	if change != nil {
		change(&c)
	}
	return opened(t, c), proxy, config
}

func submission(c job.Config, id job.ID) control.Submission {
	return control.Submission{Job: job.Job{
		ID: id, AccountID: c.AccountID, ConfigID: c.ID, ConfigName: c.Name, ScheduledAt: time.Now(), Spec: job.Spec{PackageName: "a.sh"},
	}}
}

// Whatever comes of a COMMIT that got no answer, the caller gets the right one: the job is there, once.
func TestAJobWhoseCommitGotNoAnswerIsStoredOnce(t *testing.T) {
	t.Parallel()
	s, proxy, c := throughCut(t, nil)
	const key = "69b9209b00000000000000"
	lane := func(sub *control.Submission, limit job.OnLimit) {
		sub.Job.Lane = "key:" + string(sub.Job.ID)
		sub.Job.Spec.Concurrency = job.Concurrency{Limit: 1, OnLimit: limit}
	}
	for i, through := range []bool{true, false} {
		for j, prepare := range []func(*control.Submission){
			func(*control.Submission) {},
			func(sub *control.Submission) {
				sub.Idempotency = control.Idempotency{Key: "k" + string(sub.Job.ID), Route: "r", Digest: "d", ExpiresAt: time.Now().Add(time.Hour)}
			},
			func(sub *control.Submission) { lane(sub, job.OnLimitFail) },
			func(sub *control.Submission) { lane(sub, job.OnLimitSkip) },
			func(sub *control.Submission) { lane(sub, job.OnLimitQueue) },
		} {
			sub := submission(c, job.ID(key+string(rune('a'+i))+string(rune('0'+j))))
			prepare(&sub)
			proxy.once(through, nil)
			stored, replayed, err := s.Submit(t.Context(), sub)
			if err != nil || replayed || stored.ID != sub.Job.ID || stored.Reason != "" {
				t.Errorf("through %v, kind %d: job %s (%s), replayed %v, %v", through, j, stored.ID, stored.Reason, replayed, err)
				continue
			}
			events, _, err := one[int](s.read.WithContext(t.Context()), "SELECT count(*) FROM job_events WHERE job_id = ?", string(sub.Job.ID))
			if err != nil || events != 1 {
				t.Errorf("through %v, kind %d: %d events, %v", through, j, events, err)
			}
		}
	}
	numbers, _, err := one[int](s.read.WithContext(t.Context()), "SELECT count(DISTINCT run_number) FROM jobs")
	if runs, _, _ := one[int](s.read.WithContext(t.Context()), "SELECT runs FROM job_configs"); err != nil || numbers != 10 || runs != 10 {
		t.Errorf("%d run numbers, %d runs counted, %v; want 10 of each", numbers, runs, err)
	}
}

// The COMMIT of the first try comes through while the second is under way: the second waits for it.
func TestACommitThatIsLateIsWaitedFor(t *testing.T) {
	t.Parallel()
	s, proxy, c := throughCut(t, nil)
	late := make(chan struct{})
	proxy.once(true, late)
	sub := submission(c, "69b9209b00000000000000a1")
	done := make(chan error, 1)
	go func() {
		stored, replayed, err := s.Submit(t.Context(), sub)
		if err == nil && (replayed || stored.ID != sub.Job.ID) {
			err = errors.New("another job was answered")
		}
		done <- err
	}()
	direct := opened(t, Config{Driver: Postgres, URL: s.settings.URL, MaxConns: 2})
	eventually(t, "the second try waits for the first", func() bool {
		waiting, _, err := one[int](direct.read.WithContext(t.Context()), `SELECT count(*) FROM pg_locks WHERE NOT granted
			AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())`)
		return err == nil && waiting > 0
	})
	close(late)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n, _, err := one[int](s.read.WithContext(t.Context()), "SELECT count(*) FROM jobs"); err != nil || n != 1 {
		t.Errorf("%d jobs, %v", n, err)
	}
}

// A refresh whose COMMIT got no answer is the caller's, who would else be taken for a thief at the next try.
func TestARefreshWhoseCommitGotNoAnswerIsDoneOnce(t *testing.T) {
	t.Parallel()
	s, proxy, c := throughCut(t, nil)
	admin, err := s.CreateUser(t.Context(), job.User{AccountID: c.AccountID, Name: "ann", Active: true, CreatedAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for id, through := range map[string]bool{"stored": true, "not stored": false} {
		f := job.TokenFamily{ID: id, UserID: admin.ID, AccountID: c.AccountID, RefreshHash: "first", CreatedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)}
		if err := s.CreateTokenFamily(t.Context(), f, ""); err != nil {
			t.Fatal(err)
		}
		proxy.once(through, nil)
		if err := s.RotateToken(t.Context(), id, "first", "second", time.Now().Add(time.Hour)); err != nil {
			t.Errorf("%s: %v", id, err)
		}
		if got, err := s.TokenFamily(t.Context(), id); err != nil || got.RefreshHash != "second" || !got.RevokedAt.IsZero() {
			t.Errorf("%s: %+v, %v", id, got, err)
		}
		if err := s.RotateToken(t.Context(), id, "first", "third", time.Now().Add(time.Hour)); job.WordOf(err) != job.WordStale {
			t.Errorf("%s: the old token again: %v", id, err)
		}
	}
}

// Other writes are not repeated when nobody knows whether they are stored.
func TestAnUnknownOutcomeIsToldAndNotRepeated(t *testing.T) {
	t.Parallel()
	s, proxy, c := throughCut(t, nil)
	for _, through := range []bool{true, false} {
		runs := 0
		proxy.once(through, nil)
		err := s.transact(t.Context(), func(tx *gorm.DB) error {
			runs++
			_, err := run(tx, "UPDATE job_configs SET runs = runs + 1 WHERE id = ?", c.ID)
			return err
		})
		if job.CodeOf(err) != job.Unavailable || !errors.Is(err, errOutcomeUnknown) || runs != 1 {
			t.Errorf("through %v: %v after %d runs", through, err, runs)
		}
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("not within two minutes: %s", what)
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// A database that hangs, as one that is suspended does, holds nobody for ever: not those who have a connection, not those who
// wait for one, not those who make one.
func TestASilentDatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	s, proxy, c := throughCut(t, func(c *Config) {
		c.MaxConns = 1
		c.Postgres.StatementTimeout, c.Postgres.ConnectTimeout = 200*time.Millisecond, 200*time.Millisecond
	})
	if _, err := s.Config(t.Context(), c.AccountID, c.ID); err != nil {
		t.Fatal(err)
	}
	proxy.silent.Store(true)
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			_, err := s.Config(t.Context(), c.AccountID, c.ID)
			if job.CodeOf(err) != job.Unavailable {
				t.Errorf("read: %v", err)
			}
			var e *job.Error
			if errors.As(err, &e) && e.RetryAfter <= 0 {
				t.Error("nobody is told when to come back")
			}
			if _, _, err := s.Submit(t.Context(), submission(c, "69b9209b00000000000000a1")); job.CodeOf(err) != job.Unavailable {
				t.Errorf("write: %v", err)
			}
			if err := s.Ping(t.Context()); job.CodeOf(err) != job.Unavailable {
				t.Errorf("ping: %v", err)
			}
		})
	}
	group.Wait()
	proxy.silent.Store(false)
	eventually(t, "it answers again", func() bool {
		_, err := s.Config(t.Context(), c.AccountID, c.ID)
		return err == nil
	})
}

// Sessions that the server ends, as at a restart, are made anew without anybody noticing.
func TestEndedSessionsAreMadeAnew(t *testing.T) {
	t.Parallel()
	troubles := make(chan Trouble, 1000)
	s, _, c := throughCut(t, func(c *Config) {
		c.Observe = func(kind Trouble, _ bool) { troubles <- kind }
	})
	direct := opened(t, Config{Driver: Postgres, URL: s.settings.URL, MaxConns: 1, Postgres: PostgresConfig{Application: "killer"}})
	kill := func() {
		_, _, err := one[int](direct.write.WithContext(t.Context()), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
			WHERE datname = current_database() AND application_name = 'waybill'`)
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		kill()
		if _, err := s.Config(t.Context(), c.AccountID, c.ID); err != nil {
			t.Errorf("read: %v", err)
		}
		kill()
		if err := s.RevokeTokens(t.Context(), "x", time.Now()); err != nil {
			t.Errorf("write: %v", err)
		}
		runs := 0
		err := s.transact(t.Context(), func(tx *gorm.DB) error {
			if runs++; runs == 1 {
				kill() // in the middle
			}
			_, err := run(tx, "UPDATE job_configs SET runs = runs + 1 WHERE id = ?", c.ID)
			return err
		})
		if err != nil || runs != 2 {
			t.Errorf("transaction: %v after %d runs", err, runs)
		}
	}
	if n, _, err := one[int](s.read.WithContext(t.Context()), "SELECT runs FROM job_configs WHERE id = ?", c.ID); err != nil || n != 5 {
		t.Errorf("%d changes, %v; want 5", n, err)
	}
	select {
	case <-troubles:
	default:
		t.Error("nobody was told of the trouble")
	}
}

// After a fail-over a connection may lead to a server that only reads: it is not used again.
func TestAServerThatOnlyReadsIsLeft(t *testing.T) {
	t.Parallel()
	url := storagetest.PostgresURL(t)
	direct := opened(t, Config{Driver: Postgres, URL: url, MaxConns: 1})
	c := inhabited(t, direct)
	statement := func(sql string) {
		if _, err := run(direct.write.WithContext(context.Background()), sql); err != nil {
			t.Error(err)
		}
	}
	name, _, err := one[string](direct.read.WithContext(t.Context()), "SELECT current_database()::text")
	if err != nil {
		t.Fatal(err)
	}
	statement("ALTER DATABASE " + name + " SET default_transaction_read_only = on")
	seen := 0
	s := opened(t, Config{Driver: Postgres, URL: url, MaxConns: 2, Observe: func(kind Trouble, again bool) {
		if kind == TroubleReadOnly && again {
			if seen++; seen == 1 {
				statement("ALTER DATABASE " + name + " SET default_transaction_read_only = off")
			}
		}
	}})
	if _, _, err := s.Submit(t.Context(), submission(c, "69b9209b00000000000000a1")); err != nil || seen != 1 {
		t.Errorf("%v, read-only %d times", err, seen)
	}
}

func TestConflictsAreTriedAgainAndOthersNot(t *testing.T) {
	t.Parallel()
	s := opened(t, Config{Driver: Postgres, URL: storagetest.PostgresURL(t), MaxConns: 2})
	for code, want := range map[string]int{
		"40001": 2, "40P01": 2, "57P01": 2, "57P03": 2, "25006": 2, "08006": 2,
		"55P03": 1, "57014": 1, "53100": 1, "23505": 1, "42601": 1, "23514": 1,
	} {
		runs := 0
		err := s.transact(t.Context(), func(*gorm.DB) error {
			if runs++; runs == 1 {
				return &pgconn.PgError{Code: code}
			}
			return nil
		})
		if runs != want || (err == nil) != (want == 2) {
			t.Errorf("%s: %d runs, %v", code, runs, err)
		}
	}
	runs := 0
	err := s.transact(t.Context(), func(*gorm.DB) error { runs++; return &pgconn.PgError{Code: "40001"} })
	if runs != transactionTries || job.CodeOf(err) != job.Unavailable {
		t.Errorf("for ever: %d runs, %v", runs, err)
	}
}

// The answer to a charge is lost, and with it whether the call is counted: it is not charged a second time.
func TestAChargeWhoseAnswerIsLostIsNotMadeTwice(t *testing.T) {
	t.Parallel()
	s, proxy, _ := throughCut(t, nil)
	charge := limit.Charge{Rule: limit.Leaking("lost", 10, 1), Caller: "somebody", Now: time.Now()}
	first := charge
	first.Caller = "somebody else" // prepares the statement
	if _, _, err := s.ChargeCalls(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	bucket := subjectKey(charge.Rule.Name + " " + charge.Caller)
	proxy.mu.Lock()
	proxy.lose = []byte(bucket)
	proxy.mu.Unlock()
	if _, level, err := s.ChargeCalls(t.Context(), charge); job.CodeOf(err) != job.Unavailable {
		t.Errorf("the answer came to %v, %v", level.Calls, err)
	}
	eventually(t, "the call is counted once", func() bool {
		calls, found, err := one[float64](s.read.WithContext(t.Context()), "SELECT calls FROM call_buckets WHERE caller = ?", bucket)
		if calls > 1 {
			t.Fatalf("%v calls are counted", calls)
		}
		return err == nil && found && calls == 1
	})
}
