package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// countFiles is a script that tells how many data files its package has, and the sum of their contents.
const countFiles = `
cd "$WAYBILL_PACKAGE_DIR/lib"
echo "files $(find . -type f | wc -l)"
echo "sum $(find . -type f -exec cat {} + | awk '{ s += $1 } END { printf "%d\n", s }')"`

// manyFiles is a package of countFiles and n files, each with its number.
func manyFiles(t *testing.T, n int, text string) setup {
	t.Helper()
	members := []member{{name: "main.sh", text: "#!/bin/sh\n" + text + "\n"}}
	for i := range n {
		members = append(members, member{name: fmt.Sprintf("lib/d%d/f%d", i/100, i), text: strconv.Itoa(i) + "\n"})
	}
	content, err := zipOf(members...)
	if err != nil {
		t.Fatal(err)
	}
	return setup{key: "many.zip", content: content, entry: "main.sh"}
}

// allFiles is what countFiles says of a package of n files.
func allFiles(n int) (files, sum string) {
	return fmt.Sprintf("files %d\n", n), fmt.Sprintf("sum %d\n", n*(n-1)/2)
}

func (c *client) sawAllFiles(t *testing.T, job string, n int) {
	t.Helper()
	files, sum := allFiles(n)
	if log := c.log(t, job); !strings.Contains(log, files) || !strings.Contains(log, sum) {
		t.Errorf("the log of %s does not tell %q and %q:\n%s", job, files, sum, log)
	}
}

// metric reads a metric without labels.
func (p *program) metric(t *testing.T, name string) int {
	t.Helper()
	_, _, text := plainGet(t, p.run.URL+"/metrics")
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, name+" "); found {
			number, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return int(number)
		}
	}
	t.Fatalf("/metrics has no %s", name)
	return 0
}

// packagesIn lists what the cache below a data folder holds, whole or not.
func packagesIn(t *testing.T, data string) (whole, unfinished []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(data, "work", "packages"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			unfinished = append(unfinished, e.Name())
		} else {
			whole = append(whole, e.Name())
		}
	}
	return whole, unfinished
}

// TestFirstRunsAtOnce starts sixteen jobs of a package of 20,000 files that no worker has seen. It is unpacked once, and each
// job finds all of it.
func TestFirstRunsAtOnce(t *testing.T) {
	t.Parallel()
	const files, jobs = 20_000, 16
	p := start(t, options{data: folder(t)})
	c := p.admin(t)
	config := c.configure(t, "at-once", manyFiles(t, files, countFiles))
	ids := make([]string, jobs)
	var callers sync.WaitGroup
	for i := range ids {
		callers.Go(func() { ids[i] = c.submit(t, config).text("id") })
	}
	callers.Wait()
	for _, id := range ids {
		expect(t, "the status of "+id, c.finish(t, id, 5*time.Minute).text("status"), "FINISHED")
		c.sawAllFiles(t, id, files)
	}
	expect(t, "packages fetched", p.metric(t, "waybill_package_fetches_total"), 1)
	expect(t, "packages asked for", p.metric(t, "waybill_package_uses_total"), jobs)
	if whole, unfinished := packagesIn(t, p.data); len(whole) != 1 || len(unfinished) != 0 {
		t.Errorf("the cache holds %v and, unfinished, %v", whole, unfinished)
	}
}

// TestCrashWhileUnpacking kills the program in the middle of unpacking a large package. The next one drops what is there of
// it, unpacks it anew, and the job ends well.
func TestCrashWhileUnpacking(t *testing.T) {
	t.Parallel()
	const files = 20_000
	o := options{data: folder(t), args: []string{"--worker-loss", "3s"}}
	p, err := launch(o)
	if err != nil {
		t.Fatal(err)
	}
	killed := false
	t.Cleanup(func() {
		if !killed {
			p.kill(t)
		}
	})
	c := p.admin(t)
	job := c.submit(t, c.configure(t, "unpacking", manyFiles(t, files, countFiles))).text("id")
	eventually(t, time.Minute, func() error {
		if whole, _ := packagesIn(t, o.data); len(whole) > 0 {
			return final(fmt.Errorf("the package is unpacked already"))
		}
		made, err := filepath.Glob(filepath.Join(o.data, "work", "packages", ".new-*", "tree", "lib", "*"))
		if err != nil || len(made) < 20 { // of 200
			return fmt.Errorf("%d folders are unpacked (%v)", len(made), err)
		}
		return nil
	})
	p.kill(t)
	killed = true
	whole, unfinished := packagesIn(t, o.data)
	if len(whole) != 0 || len(unfinished) != 1 {
		t.Fatalf("it was killed with packages %v and, unfinished, %v", whole, unfinished)
	}
	p = start(t, o)
	c = p.admin(t)
	j := c.finish(t, job, 5*time.Minute)
	expect(t, "the status", j.text("status"), "FINISHED")
	c.sawAllFiles(t, job, files)
	eventually(t, time.Minute, func() error {
		if whole, unfinished := packagesIn(t, o.data); len(whole) != 1 || len(unfinished) != 0 {
			return fmt.Errorf("the cache holds %v and, unfinished, %v", whole, unfinished)
		}
		return nil
	})
}

// TestCacheThatIsTooSmall runs jobs of twelve packages in turns and at once, in a cache that holds a few of them.
func TestCacheThatIsTooSmall(t *testing.T) {
	t.Parallel()
	const packages, rounds, limit = 12, 6, 4 << 20
	p := start(t, options{data: folder(t), args: []string{"--cache-size", strconv.Itoa(limit), "--workers", "4"}})
	c := p.admin(t)
	noise := rand.NewChaCha8([32]byte{1})
	jobs := map[string]string{} // what its log must tell, by id
	var configs []string
	for n := range packages {
		ballast, err := io.ReadAll(io.LimitReader(noise, 1<<20))
		if err != nil {
			t.Fatal(err)
		}
		content, err := zipOf(member{name: "main.sh", text: fmt.Sprintf("#!/bin/sh\nwc -c <ballast\necho package %d\n", n)},
			member{name: "ballast", text: string(ballast)})
		if err != nil {
			t.Fatal(err)
		}
		configs = append(configs, c.configure(t, fmt.Sprintf("cache-%d", n), setup{key: "p.zip", content: content, entry: "main.sh"}))
	}
	for range rounds {
		for n, config := range configs {
			jobs[c.submit(t, config).text("id")] = fmt.Sprintf("package %d\n", n)
		}
	}
	for id, want := range jobs {
		expect(t, "the status of "+id, c.finish(t, id, 5*time.Minute).text("status"), "FINISHED")
		if log := c.log(t, id); !strings.Contains(log, want) || !strings.Contains(log, strconv.Itoa(1<<20)) {
			t.Errorf("the log of %s does not tell %q:\n%s", id, want, log)
		}
	}
	eventually(t, time.Minute, func() error { // the last jobs give their packages back after they have ended
		if held := p.metric(t, "waybill_package_cache_bytes"); held > limit {
			return fmt.Errorf("the cache holds %d bytes", held)
		}
		return nil
	})
	if removed := p.metric(t, "waybill_package_removals_total"); removed < packages-4 {
		t.Errorf("%d packages were removed, so this has shown nothing", removed)
	}
	eventually(t, time.Minute, func() error {
		if whole, unfinished := packagesIn(t, p.data); len(whole) > 4 || len(unfinished) != 0 {
			return fmt.Errorf("the cache's folder has %v and, unfinished, %v", whole, unfinished)
		}
		return nil
	})
}

// TestGigabyte uploads and runs a package of a gigabyte. It is made while it is sent; neither the upload nor the run may
// take memory that grows with it.
func TestGigabyte(t *testing.T) {
	if testing.Short() {
		t.Skip("a gigabyte takes four times as much disk, and some seconds")
	}
	t.Parallel()
	if _, err := os.ReadFile("/proc/self/status"); err != nil {
		t.Skip("this system does not tell the memory of processes")
	}
	const parts, size = 100, 10_000_000
	p := start(t, options{data: folder(t), env: []string{"GOGC=100"}})
	c := p.admin(t)
	// What a small package takes is not counted.
	small := c.configure(t, "small", script("echo small"))
	expect(t, "the small job", c.finish(t, c.submit(t, small).text("id"), time.Minute).text("status"), "FINISHED")
	before := p.peakMemory(t)

	config := c.do(t, http.StatusCreated, http.MethodPost, "/api/jobconfigs", object{"name": "gigabyte"}).object(t).text("id")
	body, send := io.Pipe()
	go func() { send.CloseWithError(writeGigabyte(send, parts, size)) }()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.base+"/api/jobconfigs/"+config+"/files?key=big.zip", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("the upload answers %d: %s", resp.StatusCode, answer)
	}
	uploaded := p.peakMemory(t)
	c.do(t, http.StatusOK, http.MethodPut, "/api/jobconfigs/"+config,
		object{"name": "gigabyte", "runtimeConfig": object{"packageName": "big.zip", "entryPoint": "main.sh"}})
	for _, run := range []string{"cold", "warm"} {
		id := c.submit(t, config).text("id")
		expect(t, "the "+run+" job", c.finish(t, id, 5*time.Minute).text("status"), "FINISHED")
		if log := c.log(t, id); !strings.Contains(log, strconv.Itoa(parts*size)) {
			t.Errorf("the %s job does not see all of it:\n%s", run, log)
		}
	}
	ran := p.peakMemory(t)
	t.Logf("peak memory: %d MiB before, %d MiB after the upload, %d MiB after the runs", before>>20, uploaded>>20, ran>>20)
	if grown := ran - before; grown > 256<<20 {
		t.Errorf("the program took %d MiB more for a package of a gigabyte", grown>>20)
	}
	expect(t, "packages fetched", p.metric(t, "waybill_package_fetches_total"), 2)
}

func writeGigabyte(w io.Writer, parts int, size int64) error {
	members := newArchive(w)
	if err := members.add("main.sh", strings.NewReader("#!/bin/sh\ncat data/* | wc -c\n")); err != nil {
		return err
	}
	noise := rand.NewChaCha8([32]byte{2})
	for i := range parts {
		if err := members.add(fmt.Sprintf("data/%d", i), io.LimitReader(noise, size)); err != nil {
			return err
		}
	}
	return members.Close()
}

// peakMemory is the largest resident set the process ever had, in bytes.
func (p *program) peakMemory(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte("VmHWM:"))
	var kib int64
	if _, err := fmt.Fscan(bytes.NewReader(rest), &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
