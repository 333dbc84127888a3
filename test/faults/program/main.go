// Program is what the jobs of the fault test run. It tells the test that it is there, over a connection that lasts exactly
// as long as its process does, and then does what its plan says: the test sees from outside what ran, when, and how often,
// whatever becomes of the servers in between.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// plan is FAULTS_PLAN, the same type as in plan_test.go.
type plan struct {
	Millis   int  `json:"millis,omitempty"`   // how long it works
	Code     int  `json:"code,omitempty"`     // exit code when it fails
	Fail     int  `json:"fail,omitempty"`     // executions of a job that fail; the later ones succeed
	Stubborn bool `json:"stubborn,omitempty"` // ignores SIGTERM
	Records  int  `json:"records,omitempty"`  // records it reads
	Bad      int  `json:"bad,omitempty"`      // of these fail, the first ones
}

// broken is an exit code no plan has: something of the test's own went wrong.
const broken = 97

func main() { os.Exit(run()) }

func run() int {
	var p plan
	if err := json.Unmarshal([]byte(os.Getenv("FAULTS_PLAN")), &p); err != nil {
		return fail("the plan: %v", err)
	}
	if p.Stubborn {
		signal.Ignore(syscall.SIGTERM)
	}
	conn, err := net.DialTimeout("tcp", os.Getenv("FAULTS_OBSERVER"), 10*time.Second)
	if err != nil {
		return fail("the observer: %v", err)
	}
	defer conn.Close()
	from := bufio.NewReader(conn)
	attempt, _ := strconv.Atoi(os.Getenv("WAYBILL_ATTEMPT"))
	earlier, err := say(conn, from, map[string]any{"job": os.Getenv("JOB_ID"), "attempt": attempt, "pid": os.Getpid()})
	if err != nil {
		return fail("the observer: %v", err)
	}
	fmt.Printf("attempt %d of %s, %d failures before it\n", attempt, os.Getenv("JOB_ID"), earlier)
	time.Sleep(time.Duration(p.Millis) * time.Millisecond)
	if err := records(p); err != nil {
		return fail("records: %v", err)
	}
	code := 0
	if earlier < p.Fail {
		code = p.Code
	}
	if code == 0 {
		if err := os.WriteFile(os.Getenv("LOCAL_JOB_OUT_DIR")+"/effect.txt", []byte(os.Getenv("JOB_ID")+"\n"), 0o600); err != nil {
			return fail("the effect: %v", err)
		}
	}
	fmt.Printf("attempt %d of %s exits with %d\n", attempt, os.Getenv("JOB_ID"), code)
	if _, err := say(conn, from, map[string]any{"exits": code}); err != nil {
		return fail("the observer: %v", err)
	}
	return code
}

// say sends a line and waits for the answer, the number of failures that the job's executions have told so far.
func say(conn net.Conn, from *bufio.Reader, line any) (int, error) {
	text, err := json.Marshal(line)
	if err != nil {
		return 0, err
	}
	if _, err := conn.Write(append(text, '\n')); err != nil {
		return 0, err
	}
	answer, err := from.ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(answer))
}

// records reports what became of the records: all of them, or of those that a retry sends.
func records(p plan) error {
	if p.Records == 0 {
		return nil
	}
	var ids []string
	for n := range p.Records {
		ids = append(ids, "record-"+strconv.Itoa(n))
	}
	if path := os.Getenv("WAYBILL_RETRY_FILE"); path != "" {
		var err error
		if ids, err = retried(path); err != nil {
			return err
		}
	}
	events, err := os.OpenFile(os.Getenv("WAYBILL_EVENTS"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer events.Close()
	bad := min(p.Bad, len(ids))
	for _, id := range ids[:bad] {
		if err := event(events, map[string]any{"type": "error", "recordId": id, "code": "bad", "message": "a bad record", "data": map[string]string{"id": id}}); err != nil {
			return err
		}
	}
	return event(events, map[string]any{"type": "counters", "read": len(ids), "written": len(ids) - bad, "failed": bad})
}

func event(to *os.File, e map[string]any) error {
	text, err := json.Marshal(e)
	if err == nil {
		_, err = to.Write(append(text, '\n'))
	}
	return err
}

// retried reads the ids of the records that a retry sends.
func retried(path string) (ids []string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		var r struct {
			RecordID string `json:"recordId"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return nil, err
		}
		ids = append(ids, r.RecordID)
	}
	return ids, nil
}

func fail(format string, args ...any) int {
	fmt.Printf(format+"\n", args...)
	return broken
}
