package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// roomVisit is a program in a room as its worker sees it.
type roomVisit struct {
	rooms   *rooms
	porter  *porterProcess
	line    *net.UnixConn
	replies *json.Decoder
	first   reply
	files   []*os.File // of the room's first process and of the program
	ended   sync.Once
}

// start starts a program in a room of its own.
func (r *rooms) start(c Program) (*roomVisit, error) {
	o := order{
		Path: text(c.Path), Argv: texts(c.Argv), Env: texts(c.Env), Dir: text(c.Dir), NoNetwork: c.NoNetwork, Limits: c.Limits,
		Read: pathsOf(c.Read), Write: pathsOf(c.Write),
	}
	if c.Temp != "" {
		o.Temp = &pathsOf([]string{c.Temp})[0]
	}
	v, err := r.visit(o, c.group, c.Output, c.errors())
	if err != nil {
		return nil, err
	}
	if v.first.Refused != 0 {
		v.end()
		return nil, &os.PathError{Op: v.first.Step, Path: c.Path, Err: v.first.Refused}
	}
	return v, nil
}

func pathsOf(list []string) []path {
	out := make([]path, len(list))
	for i, p := range list {
		real, err := filepath.EvalSymlinks(p)
		if err != nil {
			real = p // its absence is told when it is to be shown
		}
		out[i] = path{Real: text(real), Seen: text(p)}
	}
	return out
}

// visit sends an order and waits for the first reply. A porter that was found dead is replaced once.
func (r *rooms) visit(o order, g *group, output, errors *os.File) (*roomVisit, error) {
	for try := 1; ; try++ {
		p, err := r.take()
		if err != nil {
			return nil, err
		}
		v := &roomVisit{rooms: r, porter: p}
		reached, err := v.begin(o, g, output, errors)
		if err == nil {
			return v, nil
		}
		v.end()
		if !reached {
			r.mu.Lock()
			r.retire(p)
			r.mu.Unlock()
			if try == 1 {
				continue
			}
		}
		return nil, err
	}
}

// begin tells whether the porter has got the order.
func (v *roomVisit) begin(o order, g *group, output, errors *os.File) (reached bool, err error) {
	line, other, err := linePair(unix.SOCK_STREAM)
	if err != nil {
		return true, err
	}
	v.line = line
	sent := []*os.File{other, output, errors}
	if g != nil {
		sent = append(sent, g.folder)
	}
	err = sendFiles(v.porter.line, []byte{1}, sent...)
	_ = other.Close()
	if err != nil {
		return false, roomFault("the porter does not answer: %v", err)
	}
	_ = line.SetDeadline(time.Now().Add(openTime))
	if err := say(line, o); err != nil {
		return true, roomFault("the porter does not listen: %v", err)
	}
	b := make([]byte, 64<<10)
	n, files, err := receiveFiles(line, b)
	v.files = files
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err != nil {
		return true, roomFault("the porter does not answer: %v", err)
	}
	v.replies = json.NewDecoder(io.MultiReader(bytes.NewReader(b[:n]), line))
	if err := v.replies.Decode(&v.first); err != nil {
		return true, roomFault("the porter's answer can not be read: %v", err)
	}
	if v.first.Fault != "" {
		return true, roomFault("%s", v.first.Fault)
	}
	return true, line.SetDeadline(time.Time{})
}

// end lets go of the room, which ends what is in it.
func (v *roomVisit) end() {
	v.ended.Do(func() {
		if v.line != nil {
			_ = v.line.Close()
		}
		closeAll(v.files)
		v.rooms.give(v.porter)
	})
}

// wait is Process.Wait.
func (v *roomVisit) wait(ctx context.Context, grace time.Duration) (Ending, error) {
	defer v.end()
	type last struct {
		reply reply
		err   error
	}
	came := make(chan last, 1)
	go func() {
		var l last
		l.err = v.replies.Decode(&l.reply)
		came <- l
	}()
	var l last
	select {
	case l = <-came:
	case <-ctx.Done():
		c := command{Grace: graceOf(ctx, grace)}
		if errors.Is(context.Cause(ctx), ErrKill) {
			c = command{Kill: true}
		}
		_ = say(v.line, c) // a porter that is gone shows in the reply
		_ = v.line.SetReadDeadline(time.Now().Add(c.Grace + closeTime))
		l = <-came
	}
	switch {
	case errors.Is(l.err, os.ErrDeadlineExceeded):
		_ = v.porter.process.Kill() // and with it everything in its rooms
		return Ending{}, roomFault("it does not end")
	case l.err != nil:
		return Ending{}, roomFault("it broke while the program ran (%v)", l.err)
	case l.reply.Fault != "":
		return Ending{}, roomFault("%s", l.reply.Fault)
	}
	e := endingOfStatus(syscall.WaitStatus(l.reply.Status))
	e.Stopped = l.reply.Stopped && ctx.Err() != nil // kill stops it too
	return e, nil
}

// kill ends the program at once, with everything in its room. It may be called while somebody waits.
func (v *roomVisit) kill() { _ = say(v.line, command{Kill: true}) }

// pids are process ids as this process sees them: of the room's first process, whose children are the orphans of the room,
// and of the program. What has been reaped is -1.
func (v *roomVisit) pids() (keeper, leader int) {
	if len(v.files) < 2 {
		return -1, -1
	}
	return pidBehind(v.files[0]), pidBehind(v.files[1])
}

// pidBehind reads whose descriptor this is: -1 when the process has been reaped.
func pidBehind(f *os.File) int {
	raw, err := f.SyscallConn()
	if err != nil {
		return -1
	}
	pid := -1
	_ = raw.Control(func(fd uintptr) {
		info, _ := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(int(fd)))
		for line := range strings.Lines(string(info)) {
			if value, found := strings.CutPrefix(line, "Pid:"); found {
				pid, _ = strconv.Atoi(strings.TrimSpace(value))
			}
		}
	})
	return pid
}
