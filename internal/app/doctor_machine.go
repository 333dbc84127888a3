package app

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"waybill/internal/sandbox"
)

// Bounds below which the doctor warns.
const (
	leastDisk  = 2 << 30 // bytes
	leastFiles = 4096    // file descriptors
)

// machine checks what is near: the data folder, limits, and what programs need.
func (d *doctor) machine(ctx context.Context) []Finding {
	list := append(d.folderFindings(), d.sandboxFinding(ctx))
	return append(list, append(limitFindings(), interpreterFindings()...)...)
}

// sandboxFinding makes the sandbox that a worker would have here, and tells what holds programs back in it.
func (d *doctor) sandboxFinding(ctx context.Context) Finding {
	const id = "local.sandbox"
	mode := sandbox.Mode(d.settings.Sandbox)
	box, err := sandbox.New(ctx, sandbox.Config{Mode: mode, Logger: d.log})
	if err != nil {
		return bad(id, said(err), "Run workers where user namespaces and Landlock can be had (Linux 5.13, see SECURITY.md), or say --sandbox auto.")
	}
	defer box.Close() //nolint:errcheck // nothing ran in it
	level := box.String()
	switch {
	case mode == sandbox.Off:
		return odd(id, "programs are not held back: --sandbox is off", "Say --sandbox auto, unless you trust every package.")
	case !box.Enforced():
		return odd(id, "programs are not held back: "+level, "Run workers on Linux 5.13 or newer with Landlock; --sandbox strict refuses to run without.")
	case !box.Rooms():
		return odd(id, level, "Programs see each other's processes: let the user of the worker make user namespaces.")
	}
	return fine(id, "programs are held back by "+level)
}

func (d *doctor) folderFindings() []Finding {
	f, err := os.CreateTemp(d.settings.Data, "doctor-")
	if err != nil {
		if os.IsNotExist(err) {
			return []Finding{odd("local.folder", "the data folder does not exist", "It is made at the first start; name the right one in --data.")}
		}
		return []Finding{bad("local.folder", "the data folder can not be written", "Give it to the user that runs Waybill.")}
	}
	_ = f.Close()
	_ = os.Remove(f.Name()) // if it stays it is empty
	list := []Finding{fine("local.folder", "the data folder can be written")}
	var s unix.Statfs_t
	if err := unix.Statfs(d.settings.Data, &s); err != nil {
		return list
	}
	free := int64(s.Bavail) * int64(s.Bsize) //nolint:unconvert // the types differ between systems
	text := fmt.Sprintf("%.1f GiB free", float64(free)/(1<<30))
	if free < leastDisk {
		list = append(list, odd("local.disk", text, "Make room, or give Waybill another disk: packages, job folders and uploads need it."))
	} else {
		list = append(list, fine("local.disk", text))
	}
	if s.Files > 0 && s.Ffree < s.Files/20 {
		list = append(list, odd("local.inodes", "fewer than 5 % of the inodes are free", "Delete small files, or use a file system with more inodes."))
	}
	return list
}

func limitFindings() (list []Finding) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err == nil {
		text := fmt.Sprintf("%d open files at once", l.Cur)
		if l.Cur < leastFiles {
			list = append(list, odd("local.files", text, "Raise the limit (ulimit -n, LimitNOFILE) to 65536."))
		} else {
			list = append(list, fine("local.files", text))
		}
	}
	if text, err := os.ReadFile("/proc/sys/user/max_user_namespaces"); err == nil && strings.TrimSpace(string(text)) == "0" {
		list = append(list, odd("local.namespaces", "user namespaces are switched off", "Set user.max_user_namespaces, or programs of jobs run without rooms of their own."))
	}
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err != nil {
		list = append(list, odd("local.cgroup", "there is no cgroup v2", "Limits of jobs on memory and processors are kept by watching only."))
	}
	return list
}

func interpreterFindings() (list []Finding) {
	for _, name := range []string{"bash", "python3", "node", "java"} {
		path, err := exec.LookPath(name)
		if err != nil {
			list = append(list, odd("local.interpreter."+name, "not found", "Needed on workers whose packages use it."))
			continue
		}
		list = append(list, fine("local.interpreter."+name, path))
	}
	return list
}
