package runner

import (
	"os/exec"
	"slices"
)

// kinds are the kinds of programs by the interpreter they need.
var kinds = map[string]string{"shell": "/bin/sh", "python": "python3", "node": "node"}

// Kinds lists the kinds of programs this machine can run, in order. Native ones it always can.
func Kinds() []string {
	list := []string{"native"}
	for kind, interpreter := range kinds {
		if _, err := exec.LookPath(interpreter); err == nil {
			list = append(list, kind)
		}
	}
	slices.Sort(list)
	return list
}
