package wide

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	binary string // the program under test
	root   string // of the module
	folder string // of everything this run keeps

	portsMu sync.Mutex
	random  = rand.New(rand.NewPCG(uint64(os.Getpid()), uint64(time.Now().UnixNano()))) // chooses ports
	taken   = map[int]bool{}
)

func TestMain(m *testing.M) {
	flag.Parse()
	if !wasSet("test.parallel") { // the tests mostly wait, but more would bring a small machine to a stand
		if err := flag.Set("test.parallel", "3"); err != nil {
			panic(err)
		}
	}
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "waybill").Output()
	if err != nil {
		return broken(fmt.Errorf("the module's folder: %w", err))
	}
	root = strings.TrimSpace(string(out))
	if folder, err = os.MkdirTemp("", "waybill-wide-"); err != nil {
		return broken(err)
	}
	if err := os.Chmod(folder, 0o711); err != nil { // PostgreSQL's own user goes through it
		return broken(err)
	}
	if binary = os.Getenv("WAYBILL_BIN"); binary == "" {
		binary = filepath.Join(folder, "waybill")
		if err := build(binary, "waybill/cmd/waybill"); err != nil {
			return broken(err)
		}
	}
	code := m.Run()
	if shared.servers != nil {
		shared.servers.end()
	}
	if code != 0 {
		fmt.Fprintln(os.Stderr, "wide: logs and data are kept in", folder)
		return code
	}
	if err := os.RemoveAll(folder); err != nil {
		return broken(err)
	}
	return code
}

func build(path, from string, arguments ...string) error {
	arguments = append(append([]string{"build"}, arguments...), "-o", path, from)
	cmd := exec.Command("go", arguments...)
	cmd.Dir = root
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", from, err, text)
	}
	return nil
}

func broken(err error) int {
	fmt.Fprintln(os.Stderr, "wide:", err)
	return 1
}

func wasSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}
