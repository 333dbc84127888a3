package sandbox

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	landlock "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
)

const (
	// minABI is Linux 6.2: older Landlock can not keep files from being truncated.
	minABI = 3

	fileRead  = landlock.AccessFSReadFile
	fileExec  = fileRead | landlock.AccessFSExecute
	fileWrite = fileRead | landlock.AccessFSWriteFile | landlock.AccessFSTruncate | landlock.AccessFSIoctlDev
	// fileRights are those that may be given on something that is no folder.
	fileRights = fileExec | fileWrite

	abi1Rights = 1<<13 - 1
	// refreshAfter is how long opened system paths are used: files like resolv.conf are replaced by new ones.
	refreshAfter = 10 * time.Second
)

type landlocked struct {
	abi     int
	why     string // not in force, and why
	handled uint64
	scoped  uint64
	allowed []allowance

	mu     sync.Mutex
	opened *ruleSet
	frozen bool // opened is used for ever
}

// ruleSet is the allowed paths, opened. It is closed when nobody uses it any more.
type ruleSet struct {
	rules []rule
	at    time.Time
	users int
	old   bool
}

type rule struct {
	fd     int
	rights uint64
}

// newLandlocked looks what this machine has. With use unset it only says why it is not used.
func newLandlocked(use bool, allowed []allowance) *landlocked {
	s := &landlocked{why: "off by setting", allowed: allowed}
	if !use {
		return s
	}
	if err := s.learn(); err != nil {
		s.why = err.Error()
		return s
	}
	if err := s.try(); err != nil {
		s.abi, s.why = 0, "Landlock can not be used here ("+err.Error()+")"
	}
	return s
}

// learn asks the kernel which Landlock it has.
func (s *landlocked) learn() error {
	s.why = ""
	abi, err := landlock.LandlockGetABIVersion()
	switch {
	case err != nil:
		return fmt.Errorf("this system has no Landlock (%w)", err)
	case abi < minABI:
		return fmt.Errorf("this system's Landlock is version %d, %d is needed (Linux 6.2)", abi, minABI)
	}
	s.abi = abi
	s.handled = abi1Rights | landlock.AccessFSRefer | landlock.AccessFSTruncate
	if abi >= 5 {
		s.handled |= landlock.AccessFSIoctlDev
	}
	if abi >= 6 {
		s.scoped = landlock.ScopeAbstractUnixSocket | landlock.ScopeSignal
	}
	return nil
}

// try restricts a thread as a rehearsal: a container's system call filter may forbid what the kernel offers.
func (s *landlocked) try() error {
	result := make(chan error, 1)
	temp := []string{os.TempDir()}
	onOwnThread(func() { result <- s.restrict(own(temp, temp), true, false) })
	return <-result
}

func (s *landlocked) enforced() bool { return s.abi > 0 }

func (s *landlocked) deniesTCP() bool { return s.abi >= tcpABI }

// hide makes this process undumpable where programs are held back, so that nobody reaches its memory and environment.
// Where the sandbox is Landlock alone it is also on the thread that starts a program, which the program could reach
// otherwise (ptrace(2), access mode checking).
func (s *Sandbox) hide() error {
	if !s.Enforced() {
		return nil
	}
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}

func (s *landlocked) String() string {
	if s.enforced() {
		return fmt.Sprintf("landlock %d", s.abi)
	}
	return s.why
}

// tcpABI is the first Landlock that mediates TCP (Linux 6.7). UDP it leaves alone.
const tcpABI = 4

// restrict puts the sandbox on the calling thread, which must be locked and never be given back. It may use what all
// programs may, and extra. noTCP takes TCP from it where Landlock can.
func (s *landlocked) restrict(extra []allowance, asRoot, noTCP bool) error {
	attr := landlock.RulesetAttr{HandledAccessFS: s.handled, Scoped: s.scoped}
	if noTCP && s.abi >= tcpABI {
		attr.HandledAccessNet = landlock.AccessNetBindTCP | landlock.AccessNetConnectTCP
	}
	ruleset, err := landlock.LandlockCreateRuleset(&attr, 0)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	defer unix.Close(ruleset)
	set := s.acquire()
	defer s.free(set)
	for _, r := range set.rules {
		if err := addRule(ruleset, r); err != nil {
			return err
		}
	}
	for _, a := range extra {
		r, err := s.open(a)
		if err != nil {
			return fmt.Errorf("sandbox: %w", err)
		}
		err = addRule(ruleset, r)
		unix.Close(r.fd)
		if err != nil {
			return err
		}
	}
	if err := dropRights(asRoot); err != nil {
		return err
	}
	if err := landlock.LandlockRestrictSelf(ruleset, 0); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	return nil
}

// own lists what a program is given besides the system.
func own(read, write []string) []allowance {
	list := make([]allowance, 0, len(read)+len(write))
	for _, p := range read {
		list = append(list, allowance{p, accessExec})
	}
	for _, p := range write {
		list = append(list, allowance{p, accessFull})
	}
	return list
}

func addRule(ruleset int, r rule) error {
	err := landlock.LandlockAddPathBeneathRule(ruleset, &landlock.PathBeneathAttr{AllowedAccess: r.rights, ParentFd: r.fd}, 0)
	runtime.KeepAlive(r)
	if err != nil {
		return fmt.Errorf("sandbox rule: %w", err)
	}
	return nil
}

func (s *landlocked) open(a allowance) (rule, error) {
	fd, err := unix.Open(a.path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return rule{}, &os.PathError{Op: "open", Path: a.path, Err: err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return rule{}, err
	}
	rights := map[access]uint64{
		accessRead: fileRead | landlock.AccessFSReadDir, accessExec: fileExec | landlock.AccessFSReadDir,
		accessWrite: fileWrite, accessFull: s.handled,
	}[a.access] & s.handled
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		rights &= fileRights
	}
	return rule{fd, rights}, nil
}

// acquire gives the system's rules, opened again when they are old.
func (s *landlocked) acquire() *ruleSet {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened != nil && !s.frozen && time.Since(s.opened.at) > refreshAfter {
		s.retire()
	}
	if s.opened == nil {
		s.opened = &ruleSet{at: time.Now()}
		for _, a := range s.allowed {
			if r, err := s.open(a); err == nil { // what is not on this machine needs no rule
				s.opened.rules = append(s.opened.rules, r)
			}
		}
	}
	s.opened.users++
	return s.opened
}

func (s *landlocked) free(set *ruleSet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set.users--
	set.closeUnused()
}

func (s *landlocked) retire() {
	if s.opened != nil {
		s.opened.old = true
		s.opened.closeUnused()
		s.opened = nil
	}
}

func (set *ruleSet) closeUnused() {
	if !set.old || set.users > 0 {
		return
	}
	for _, r := range set.rules {
		unix.Close(r.fd)
	}
	set.rules = nil
}

func (s *landlocked) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retire()
}

// keptCapabilities are those a program of a worker that runs as root keeps: enough for file ownership inside its folder,
// for low ports, and for becoming somebody else.
const keptCapabilities = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_FOWNER | 1<<unix.CAP_FSETID |
	1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID | 1<<unix.CAP_NET_BIND_SERVICE

// dropRights takes all other capabilities from the calling thread, or all where its programs are not root's, and keeps
// them from coming back at exec.
func dropRights(asRoot bool) error {
	kept := uint32(0)
	if asRoot {
		kept = keptCapabilities
	}
	if err := dropCapabilities(kept); err != nil {
		return fmt.Errorf("sandbox: drop capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	return nil
}

func dropCapabilities(kept uint32) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	if data[0].Permitted&^kept == 0 && data[1].Permitted == 0 {
		return nil
	}
	data[0].Effective &= kept
	data[0].Permitted &= kept
	data[0].Inheritable &= kept
	data[1] = unix.CapUserData{}
	return unix.Capset(&header, &data[0])
}
