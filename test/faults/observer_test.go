package faults

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// execution is one run of a job's program, as seen from outside: from its first word until its process is gone.
type execution struct {
	job     string
	attempt int
	pid     int
	began   time.Time
	said    time.Time // zero: it never got as far as telling its exit code
	code    int
	ended   time.Time // zero: it is there still
}

// observer is whom the programs of the jobs tell that they run. Each holds a connection for as long as its process lives, so
// the end of a program that is killed is seen as well.
type observer struct {
	listener net.Listener
	serving  sync.WaitGroup

	mu   sync.Mutex
	runs []*execution
	told map[string]int // failures by job
}

func observe() (*observer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &observer{listener: l, told: map[string]int{}}
	o.serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			o.serving.Go(func() { o.serve(conn) })
		}
	})
	return o, nil
}

func (o *observer) address() string { return o.listener.Addr().String() }

// close ends the observer, once all programs have ended.
func (o *observer) close() {
	_ = o.listener.Close()
	o.serving.Wait()
}

func (o *observer) serve(conn net.Conn) {
	defer conn.Close()
	var run *execution
	defer func() {
		if run != nil {
			o.mu.Lock()
			defer o.mu.Unlock()
			run.ended = time.Now()
		}
	}()
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		var word struct {
			Job     string
			Attempt int
			PID     int
			Exits   *int
		}
		if err := json.Unmarshal(lines.Bytes(), &word); err != nil {
			return
		}
		o.mu.Lock()
		if run == nil {
			run = &execution{job: word.Job, attempt: word.Attempt, pid: word.PID, began: time.Now()}
			o.runs = append(o.runs, run)
		}
		if word.Exits != nil {
			run.said, run.code = time.Now(), *word.Exits
			if run.code != 0 {
				o.told[run.job]++
			}
		}
		earlier := o.told[run.job]
		o.mu.Unlock()
		if _, err := fmt.Fprintf(conn, "%d\n", earlier); err != nil {
			return
		}
	}
}

// executions are copies of all that were seen, in the order in which they began.
func (o *observer) executions() (all []execution) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range o.runs {
		all = append(all, *r)
	}
	return all
}

var errRunning = errors.New("programs run still")

// silent tells whether no program is there any more.
func (o *observer) silent() error {
	for _, r := range o.executions() {
		if r.ended.IsZero() {
			return fmt.Errorf("%w: job %s, attempt %d, process %d", errRunning, r.job, r.attempt, r.pid)
		}
	}
	return nil
}
