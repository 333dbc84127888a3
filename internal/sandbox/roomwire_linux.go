package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What worker and porter say to each other. A line that both hold carries the blueprint first and then one byte for each
// run, with three files: the line of that run, the program's output and its errors. On a run's own line the worker sends an order and,
// if it likes, commands; the porter answers that the program has started, and how it ended. When the worker lets go of a
// line, what hangs on it ends.

// blueprint is how all rooms of a porter are made.
type blueprint struct {
	Landlock bool        `json:"landlock,omitempty"`
	Seccomp  bool        `json:"seccomp,omitempty"`
	Shown    []placement `json:"shown"`
}

// placement is an allowance on its way.
type placement struct {
	Path   text   `json:"path"`
	Access access `json:"access"`
}

// text is a string that may hold any bytes, as paths and variables do.
type text []byte

// order is a program to run in a room.
type order struct {
	Rehearsal bool   `json:"rehearsal,omitempty"` // make the room, run nothing
	Path      text   `json:"path,omitempty"`
	Argv      []text `json:"argv,omitempty"`
	Env       []text `json:"env,omitempty"`
	Dir       text   `json:"dir,omitempty"`
	Read      []path `json:"read,omitempty"`
	Write     []path `json:"write,omitempty"`
	Temp      *path  `json:"temp,omitempty"`
	NoNetwork bool   `json:"noNetwork,omitempty"`
	Limits    Limits `json:"limits,omitzero"`
}

// path is something of the machine that is shown in a room.
type path struct {
	Real text `json:"real"` // with links followed
	Seen text `json:"seen"` // as the program knows it
}

// command ends a program that runs.
type command struct {
	Kill  bool          `json:"kill,omitempty"`
	Grace time.Duration `json:"grace,omitempty"` // without Kill: from SIGTERM to SIGKILL
}

// reply is what the porter says of a run. The first one tells whether it started, the second how it ended. With the first
// come two process file descriptors: of the room's first process and of the program.
type reply struct {
	Started bool          `json:"started,omitempty"`
	Fault   string        `json:"fault,omitempty"` // the room could not be made, or broke
	Refused syscall.Errno `json:"refused,omitempty"`
	Step    string        `json:"step,omitempty"` // what was refused, in the words of os.PathError
	Status  int           `json:"status,omitempty"`
	Stopped bool          `json:"stopped,omitempty"`
	Parts   []string      `json:"parts,omitempty"` // of a rehearsal: what was put on
}

// ErrRoom is under every error of Start and Wait that is the room's fault, not the program's.
var ErrRoom = errors.New("the room could not be used")

func roomFault(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRoom, fmt.Sprintf(format, args...))
}

func texts(list []string) []text {
	out := make([]text, len(list))
	for i, s := range list {
		out[i] = text(s)
	}
	return out
}

func stringsOf(list []text) []string {
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = string(t)
	}
	return out
}

// linePair makes a connected pair: one end for this process, one to be given away.
func linePair(kind int) (own *net.UnixConn, other *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	other = os.NewFile(uintptr(fds[1]), "line")
	if own, err = lineOf(os.NewFile(uintptr(fds[0]), "line")); err != nil {
		_ = other.Close()
		return nil, nil, err
	}
	return own, other, nil
}

// lineOf makes a line of a file and closes it.
func lineOf(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	line, ok := c.(*net.UnixConn)
	if !ok {
		_ = c.Close()
		return nil, errors.New("no local socket")
	}
	return line, nil
}

// sendFiles sends a message with files.
func sendFiles(line *net.UnixConn, message []byte, files ...*os.File) error {
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	n, oob, err := line.WriteMsgUnix(message, unix.UnixRights(fds...), nil)
	if err == nil && (n != len(message) || len(fds) > 0 && oob == 0) {
		err = errors.New("short write")
	}
	return err
}

// receiveFiles reads one message with its files, which no program inherits; the caller closes them.
func receiveFiles(line *net.UnixConn, buffer []byte) (n int, files []*os.File, err error) {
	oob := make([]byte, unix.CmsgSpace(4*8))
	n, got, _, _, err := line.ReadMsgUnix(buffer, oob)
	if err != nil {
		return n, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:got])
	if err != nil {
		return n, nil, err
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return n, files, nil
}

// say writes one JSON value to a line.
func say(line *net.UnixConn, v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		_, err = line.Write(b)
	}
	return err
}
