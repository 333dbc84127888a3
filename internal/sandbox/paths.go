package sandbox

import (
	"os"
	"path/filepath"
	"strings"
)

// Mode says whether programs are held back from the rest of the machine.
//
// In full, a program runs in a *room*: namespaces of its own (Linux), in which there is nothing but the system's programs
// and libraries (sandbox paths below), its package, its private folders, a /tmp and a /dev/shm of its own, and its own
// processes. Nothing else exists there: what it can not see it can not stat, signal, trace, connect to by a path, or
// change. It gains no privileges from setuid files. Landlock is on top with nearly the same rules, and keeps it from
// writing to what the room shows of the machine; a system call filter refuses mounting, new namespaces, and parts of the
// kernel that no job needs. Its network is the worker's, or a loopback of its own and nothing else (Program.NoNetwork).
// When the worker runs as root, programs keep few capabilities, and those count in the room only.
//
// Where the machine refuses namespaces, as containers often do, Landlock alone is left: a program can open nothing but its
// own, but it sees which processes run, may ask for the attributes of files it can not open and change those of its
// own user's, shares System V IPC with others, and could end the worker by signalling the one thread that started it.
// Of the network only TCP can be taken from it.
type Mode string

// The modes.
const (
	Auto   Mode = "auto"   // as much of it as the machine has; a warning about what is missing
	Strict Mode = "strict" // refuse to work without namespaces and Landlock
	Off    Mode = "off"

	landlockOnly Mode = "landlock" // for tests: as if there were no namespaces
	roomsOnly    Mode = "rooms"    // for tests: as if there were no Landlock
)

// access is what a sandboxed program may do below a path.
type access int

const (
	accessRead  access = iota
	accessExec         // and read
	accessWrite        // and read: devices
	accessFull
)

type allowance struct {
	path   string
	access access
}

// systemPaths is what a program may use of the machine. Of /etc it is only what libraries need to look up names, hosts,
// time zones and certificates: /etc/shadow, keys and the settings of other software stay out.
func systemPaths() []allowance {
	var list []allowance
	for _, p := range []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store"} {
		list = append(list, allowance{p, accessExec})
	}
	for _, p := range []string{
		"alternatives", "ca-certificates", "ca-certificates.conf", "gai.conf", "group", "host.conf", "hostname", "hosts",
		"inputrc", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias", "locale.conf", "localtime", "magic",
		"mime.types", "nsswitch.conf", "os-release", "passwd", "pki/ca-trust/extracted", "pki/tls/certs", "pki/tls/cert.pem",
		"pki/tls/openssl.cnf", "protocols", "resolv.conf", "rpc", "services", "ssl/cert.pem", "ssl/certs", "ssl/openssl.cnf",
		"terminfo", "timezone", "crypto-policies",
	} {
		list = append(list, allowance{"/etc/" + p, accessRead})
	}
	for _, pattern := range []string{"/etc/python3*", "/etc/java*", "/etc/perl"} {
		names, _ := filepath.Glob(pattern)
		for _, n := range names {
			list = append(list, allowance{n, accessRead})
		}
	}
	for _, p := range []string{"/proc", "/sys/fs/cgroup", "/sys/devices/system/cpu", "/sys/kernel/mm/transparent_hugepage"} {
		list = append(list, allowance{p, accessRead})
	}
	for _, p := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		list = append(list, allowance{"/dev/" + p, accessWrite})
	}
	return list
}

// toolPaths is where the interpreters on the server's PATH live: the folders on it and, because a version manager keeps
// libraries beside its bin/ or shims/, the folder around those. A home folder is never taken whole, and of folders that
// are known to hold a user's own things beside programs only the program parts are.
func toolPaths(path string, homes []string) []allowance {
	var list []allowance
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue
		}
		list = append(list, allowance{dir, accessExec})
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			continue
		}
		base, prefix := filepath.Base(real), filepath.Dir(real)
		if base != "bin" && base != "sbin" && base != "shims" || prefix == "/" || isHome(prefix, homes) {
			continue
		}
		switch filepath.Base(prefix) {
		case ".local", ".cargo", ".config", "go":
			for _, part := range []string{"lib", "lib64", "libexec"} {
				list = append(list, allowance{filepath.Join(prefix, part), accessExec})
			}
		default:
			list = append(list, allowance{prefix, accessExec})
		}
	}
	return list
}

func isHome(dir string, homes []string) bool {
	for _, home := range homes {
		if dir == home {
			return true
		}
	}
	return false
}

// homeFolders lists the home folders of the machine's users.
func homeFolders() []string {
	homes := []string{"/root"}
	if home, err := os.UserHomeDir(); err == nil {
		homes = append(homes, filepath.Clean(home))
	}
	text, _ := os.ReadFile("/etc/passwd")
	for line := range strings.SplitSeq(string(text), "\n") {
		// System users "live" in / or /usr/sbin; those are no homes.
		if f := strings.Split(line, ":"); len(f) >= 6 && (strings.HasPrefix(f[5], "/home/") || strings.HasPrefix(f[5], "/Users/")) {
			homes = append(homes, filepath.Clean(f[5]))
		}
	}
	return homes
}

// except takes the protected folders out of what is allowed: a folder around a protected one is replaced by all else in it.
func except(list []allowance, protected []string) []allowance {
	var kept []allowance
	for _, a := range list {
		real, err := filepath.EvalSymlinks(a.path)
		if err != nil {
			continue // not on this machine
		}
		inside, around := false, false
		for _, p := range protected {
			inside = inside || within(real, p)
			around = around || within(p, real)
		}
		switch {
		case inside:
		case around:
			entries, _ := os.ReadDir(real)
			var parts []allowance
			for _, e := range entries {
				if e.IsDir() || e.Type().IsRegular() {
					parts = append(parts, allowance{filepath.Join(real, e.Name()), a.access})
				}
			}
			kept = append(kept, except(parts, protected)...)
		default:
			kept = append(kept, a)
		}
	}
	return kept
}

// within tells whether path is dir or lies below it.
func within(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// resolved gives the paths with links followed, as far as they exist.
func resolved(paths []string) []string {
	var out []string
	for _, p := range paths {
		if p == "" {
			continue
		}
		abs, err := filepath.Abs(p)
		if err != nil {
			continue
		}
		if real, err := filepath.EvalSymlinks(abs); err == nil {
			abs = real
		}
		out = append(out, abs)
	}
	return out
}
