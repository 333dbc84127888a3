package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The configs that the clients of the DIEM door are written for.
const (
	diemOrders = "5fd3a340b15cc4d3b71b7cc7"
	diemRandom = "60b5219d555eb079f59f4796"
	diemEcho   = "60b5219d555eb079f59f4797"
)

// diem is the DIEM door of a program, with the key of an account of its own.
type diem struct {
	*client
	key string
}

func (d diem) call(t *testing.T, status int, function, body string) *reply {
	t.Helper()
	r, err := d.send(t.Context(), "POST", "/etl-mgr/api/"+function, []byte(body), "Content-Type", "application/json", "x-api-key", d.key)
	if err != nil {
		t.Fatal(err)
	}
	if r.status != status {
		t.Fatalf("%s %s answers %d: %s", function, body, r.status, r.body)
	}
	return r
}

// TestDIEMClients runs clients as a vendor's page prints them, with nothing changed but host name and key.
func TestDIEMClients(t *testing.T) {
	t.Parallel()
	p := start(t, options{data: folder(t), args: []string{"--diem-rate-limit", "0"}}) // it is asked again and again below, until the run began
	c := p.admin(t)
	for id, script := range map[string]string{
		diemOrders: "#!/bin/sh\nexec sleep 300\n",
		diemRandom: "#!/bin/sh\necho 'no part of the answer' >&2\ns=\nwhile [ ${#s} -lt \"$payload\" ]; do s=\"${s}x\"; done\necho \"$s\"\n",
		diemEcho:   "#!/bin/sh\necho \"$1\"\n[ \"$1\" = \"$PARAMS\" ] || exit 3\n",
	} {
		config := c.do(t, 201, "POST", "/api/jobconfigs", object{
			"name": "diem " + id, "objectId": id, "runtimeConfig": object{"packageName": "run.sh", "entryPoint": "run.sh"},
		}).object(t)
		c.do(t, 201, "POST", "/api/jobconfigs/"+config.text("id")+"/files?key=run.sh", []byte(script))
	}
	d := diem{client: &client{base: p.run.URL}, key: c.do(t, 201, "POST", "/api/apikeys", object{"name": "clients"}).object(t).text("key")}
	t.Cleanup(func() {
		ctx, done := context.WithTimeout(context.Background(), time.Minute)
		defer done()
		_, _ = d.send(ctx, "POST", "/etl-mgr/api/apijob", []byte(`{"id":"`+diemOrders+`","action":"stop"}`), "Content-Type", "application/json", "x-api-key", d.key)
	})
	d.call(t, 200, "apijob", `{"id":"`+diemOrders+`"}`)
	eventually(t, time.Minute, func() error {
		if r := d.call(t, 200, "apijob", `{"id":"`+diemOrders+`","action":"status"}`); string(r.body) != `{"message":"Running"}` {
			return fmt.Errorf("status: %s", r.body)
		}
		return nil
	})
	if r := d.call(t, 200, "services", `{"id":"`+diemEcho+`","params":{"a":[1,"two"]}}`); !strings.HasPrefix(string(r.body), `{"out":{"a":[1,"two"]},"id":"`+diemEcho) {
		t.Errorf("the first argument came as %s", r.body)
	}
	clients := map[string]func(t *testing.T, dir string) *exec.Cmd{
		"python": func(t *testing.T, dir string) *exec.Cmd {
			if exec.Command("python3", "-c", "import requests").Run() != nil {
				t.Skip("python3-requests is not installed")
			}
			return exec.Command("python3", filepath.Join(dir, "client.py"))
		},
		"curl": func(t *testing.T, dir string) *exec.Cmd {
			need(t, "curl")
			return exec.Command("sh", filepath.Join(dir, "client.sh"))
		},
		"axios": func(t *testing.T, dir string) *exec.Cmd {
			need(t, "node")
			need(t, "npm")
			install := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
			install.Dir = dir
			if out, err := install.CombinedOutput(); err != nil {
				t.Skipf("npm can not install axios: %v\n%s", err, out)
			}
			return exec.Command("node", filepath.Join(dir, "client.js"))
		},
		"okhttp": func(t *testing.T, dir string) *exec.Cmd {
			need(t, "javac")
			path := strings.Join(append(okhttp(t, dir), dir), ":")
			if out, err := exec.Command("javac", "-nowarn", "-cp", path, "-d", dir, filepath.Join(dir, "Client.java")).CombinedOutput(); err != nil {
				t.Fatalf("javac: %v\n%s", err, out)
			}
			return exec.Command("java", "-cp", path, "Client")
		},
	}
	answer := regexp.MustCompile(`^\{"out":"x{16}","id":"` + diemRandom + `","jobid":"` + diemRandom + `","transid":"[0-9a-f-]{36}","email":"admin","name":"diem ` + diemRandom + `"\}$`)
	for name, client := range clients {
		t.Run(name, func(t *testing.T) {
			dir := d.testdata(t)
			code, stdout, stderr := execute(t, client(t, dir))
			lines := strings.Split(strings.TrimSpace(stdout), "\n")
			if code != 0 || len(lines) != 2 || !answer.MatchString(lines[0]) || lines[1] != `{"message":"Running"}` {
				t.Fatalf("exit code %d\n%s\n%s", code, stdout, stderr)
			}
			t.Logf("\n%s", stdout)
		})
	}
}

func need(t *testing.T, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		t.Skipf("%s is not installed", tool)
	}
}

// testdata lays the clients down with the program's host name and the key in them.
func (d diem) testdata(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	files, err := os.ReadDir("testdata/diem")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join("testdata/diem", f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		text = []byte(strings.NewReplacer("https://diem.example.com", d.base, "YOUR_API_KEY", d.key).Replace(string(text)))
		if err := os.WriteFile(filepath.Join(dir, f.Name()), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// okhttpJars are OkHttp and what it needs, by their places in Maven Central and their SHA-256.
var okhttpJars = map[string]string{
	"com/squareup/okhttp3/okhttp/4.12.0/okhttp-4.12.0.jar":               "b1050081b14bb7a3a7e55a4d3ef01b5dcfabc453b4573a4fc019767191d5f4e0",
	"com/squareup/okio/okio-jvm/3.6.0/okio-jvm-3.6.0.jar":                "67543f0736fc422ae927ed0e504b98bc5e269fda0d3500579337cb713da28412",
	"org/jetbrains/kotlin/kotlin-stdlib/1.9.10/kotlin-stdlib-1.9.10.jar": "55e989c512b80907799f854309f3bc7782c5b3d13932442d0379d5c472711504",
}

func okhttp(t *testing.T, dir string) (paths []string) {
	t.Helper()
	ctx, done := context.WithTimeout(t.Context(), 2*time.Minute)
	defer done()
	for place, digest := range okhttpJars {
		text, err := fetch(ctx, "https://repo1.maven.org/maven2/"+place)
		if err != nil {
			t.Skipf("Maven Central can not be reached: %v", err)
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != digest {
			t.Fatalf("%s has the digest %x", place, sum)
		}
		path := filepath.Join(dir, filepath.Base(place))
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

func fetch(ctx context.Context, address string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request) // by the proxy of the environment, if it has one
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", address, response.Status)
	}
	return io.ReadAll(io.LimitReader(response.Body, 16<<20))
}

// Of many starts at once one makes a job, whoever of the processes it reaches: the database decides.
func TestDIEMStartsAtOnce(t *testing.T) {
	t.Parallel()
	c := sharedProgram(t).tenant(t, "diemstarts")
	config := c.do(t, 201, "POST", "/api/jobconfigs", object{"name": "once", "runtimeConfig": object{"packageName": "run.sh", "entryPoint": "run.sh"}}).object(t)
	c.do(t, 201, "POST", "/api/jobconfigs/"+config.text("id")+"/files?key=run.sh", []byte("#!/bin/sh\nexec sleep 300\n"))
	d := diem{client: &client{base: c.base}, key: c.do(t, 201, "POST", "/api/apikeys", object{"name": "starts"}).object(t).text("key")}
	type told struct {
		message, run string
		err          error
	}
	const starts = 24
	answers := make(chan told, starts)
	for range starts {
		go func() {
			var a told
			var r *reply
			if r, a.err = d.send(t.Context(), "POST", "/etl-mgr/api/apijob", []byte(`{"id":"`+config.text("objectId")+`"}`), "Content-Type", "application/json", "x-api-key", d.key); a.err == nil {
				var body struct{ Message string }
				a.err = json.Unmarshal(r.body, &body)
				a.message, a.run = body.Message, r.header.Get("X-Waybill-Job-Id")
			}
			answers <- a
		}()
	}
	messages, runs := map[string]int{}, map[string]int{}
	for range starts {
		a := <-answers
		if a.err != nil {
			t.Error(a.err)
		}
		messages[a.message]++
		runs[a.run]++
	}
	if messages["job started"] != 1 || messages["job already running"] != starts-1 || len(runs) != 1 {
		t.Errorf("%v, of runs %v", messages, runs)
	}
	d.call(t, 200, "apijob", `{"id":"`+config.text("objectId")+`","action":"stop"}`)
}
