package runtimes

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"waybill/internal/job"
)

func readHead(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:n], err
}

// shebang gives what follows #! on the first line.
func shebang(head []byte) (string, bool) {
	rest, found := bytes.CutPrefix(head, []byte("#!"))
	if !found {
		return "", false
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return strings.TrimSpace(strings.TrimRight(string(line), "\r")), true
}

// fromShebang does what Linux does, where all behind the interpreter is one argument, and resolves "/usr/bin/env X" itself,
// so that a missing X can be named.
func fromShebang(line string, p Program) (Command, error) {
	name, arg, _ := strings.Cut(line, " ")
	if i := strings.IndexByte(name, '\t'); i >= 0 {
		name, arg = name[:i], name[i+1:]+" "+arg
	}
	arg = strings.TrimSpace(arg)
	var args []string
	if arg != "" {
		args = []string{arg}
	}
	if filepath.Base(name) == "env" && arg != "" {
		words := strings.Fields(strings.TrimSpace(strings.TrimPrefix(arg, "-S")))
		if len(words) > 0 && !strings.HasPrefix(words[0], "-") && !strings.Contains(words[0], "=") {
			name, args = words[0], words[1:]
		}
	}
	if name == "" {
		return Command{}, invalidEntry("Entry point '%s' has a #! line that names no interpreter", p.Entry.Member)
	}
	path, err := lookUp(name, p.shown())
	argv := append(append([]string{path}, args...), p.file())
	return Command{Runtime: runtimeOf(name), Interpreter: path, Path: path, Argv: append(argv, p.Arguments...)}, err
}

var pythonName = regexp.MustCompile(`^python[0-9.]*$`)

// runtimeOf tells the runtime by the name of an interpreter. One that is not known counts as a shell: nothing is set up
// for it.
func runtimeOf(interpreter string) string {
	switch base := filepath.Base(interpreter); {
	case pythonName.MatchString(base):
		return Python
	case base == "node" || base == "nodejs":
		return Node
	default:
		return Shell
	}
}

// lookUp finds an interpreter on the server's PATH. A macro named PATH has no say in it.
func lookUp(name, shown string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		path, err = filepath.Abs(path)
	}
	if err != nil {
		return "", job.Wrap(err, job.Invalid, job.WordInterpreterMissing, "Interpreter '%s' of %s is not installed on this worker",
			name, shown)
	}
	return path, nil
}
