package wide

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
)

const (
	bigUpload  = 40 << 20 // bytes: goes out in three parts
	outageRows = 20_000
)

// lasting prints a line from time to time, and leaves a file when it ends.
const lasting = `#!/bin/sh
n=0
while [ $n -lt "$WIDE_LINES" ]; do n=$((n + 1)); echo "line $n of attempt $WAYBILL_ATTEMPT"; sleep 0.1; done
n=0
while [ $n -lt 20000 ]; do n=$((n + 1)); echo "row $n of attempt $WAYBILL_ATTEMPT"; done > "$LOCAL_JOB_OUT_DIR/rows.txt"
`

// TestObjectStoreFails kills MinIO in the middle of an upload, and while programs run: one that ends while it is away, and one that goes on.
func TestObjectStoreFails(t *testing.T) {
	in := install(t, shape{apis: 2, workers: 2})
	_, real := in.behind(t)
	l := in.drive(t)
	other := &rest{token: l.client.token, base: func() string { return real[in.apis[1]] }}
	config := other.configure(t, "lasting", lasting, nil)
	path := "/api/jobconfigs/" + config + "/files?key=big.bin"
	content, digest := random40(t)
	upload := in.beginUpload(t, in.apis[0], real[in.apis[0]]+path, other.token, content, digest)
	running := map[string]int{}
	for _, lines := range []int{300, 100} {
		id := other.must(t, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+config+"/jobs", macros("WIDE_LINES", fmt.Sprint(lines))).text("id")
		l.accept(id, "FINISHED")
		running[id] = lines
		other.prints(t, id)
	}
	before := l.counted()
	if len(upload.answers) > 0 {
		t.Fatalf("the upload was answered before the object store went away: %s", <-upload.answers)
	}
	if err := in.objects.kill(); err != nil {
		t.Fatal(err)
	}
	in.areRunning(t, running)
	upload.wantRefused(t)
	// One that begins while it is away is refused at once.
	late := []byte(program + "# while it is away\n")
	a := l.client.call(t.Context(), http.MethodPost, "/api/jobconfigs/"+l.configs["changed"]+"/files?key=main.sh", late)
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("an upload without an object store: %s", a)
	}
	pause(t, time.Duration(rounds(15, 40))*time.Second)
	in.areRunning(t, running) // they can not end: what they left is not delivered
	if err := in.objects.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.recovered(t, time.Now())
	t.Logf("before: %v, after: %v", before, l.counted())
	sum := sha256.Sum256(late)
	for what, refused := range map[string]string{"the upload that was cut off": digest, "the late upload": hex.EncodeToString(sum[:])} {
		if n := in.versions(t, refused); n != 0 {
			t.Errorf("%s left %d versions", what, n)
		}
	}
	for id, lines := range running {
		other.hasAll(t, id, lines)
	}
	other.must(t, http.StatusCreated, http.MethodPost, path, content)
	if b := other.must(t, http.StatusOK, http.MethodGet, "/api/jobconfigs/"+config+"/files/big.bin", nil); !bytes.Equal(b.body, content) {
		t.Errorf("the upload that was made again has %d bytes, and not those that were sent", len(b.body))
	}
	l.calm(t)
	in.stop(t)
}

// random40 is what is uploaded.
func random40(t *testing.T) (content []byte, digest string) {
	t.Helper()
	content = make([]byte, bigUpload)
	if _, err := io.ReadFull(rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%-32.32s", t.Name())))), content); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	return content, hex.EncodeToString(sum[:])
}

// uploading is an upload of which a part is stored, and the rest is under way and will be for minutes.
type uploading struct {
	answers chan answer
	mend    []func() error // of the link
}

// beginUpload sends the content to a process whose way to the object store is slow, and is back as soon as the store has a part of it.
func (in *installation) beginUpload(t *testing.T, at *node, address, token string, content []byte, digest string) *uploading {
	t.Helper()
	link := at.links[objects]
	mend, err := link.Slow(6000)
	if err != nil {
		t.Fatal(err)
	}
	u := &uploading{answers: make(chan answer, 1), mend: []func() error{mend}}
	go func() { // not by call: it may take longer
		a := answer{call: "the slow upload"}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, bytes.NewReader(content))
		if err == nil {
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("Content-Type", "application/octet-stream")
			var resp *http.Response
			if resp, err = plain.Do(req); err == nil {
				a.body, err = io.ReadAll(resp.Body)
				a.status, a.header = resp.StatusCode, resp.Header
				resp.Body.Close()
			}
		}
		a.err = err
		u.answers <- a
	}()
	b := in.bucket(t)
	key := "accounts/1/blobs/" + digest[:2] + "/" + digest
	if err := within(t.Context(), 2*time.Minute, func() error { return b.hasPart(t, key) }); err != nil {
		t.Fatalf("no part of the upload is stored: %v", err)
	}
	if mend, err = link.Slow(20); err != nil { // the next part takes a quarter of an hour
		t.Fatal(err)
	}
	u.mend = append(u.mend, mend)
	return u
}

// hasPart tells whether an upload in parts is under way and a part of it is stored.
func (b *bucketOf) hasPart(t *testing.T, key string) error {
	t.Helper()
	for u := range b.client.ListIncompleteUploads(t.Context(), b.name, key, true) {
		if u.Err != nil {
			return u.Err
		}
		core := minio.Core{Client: b.client}
		parts, err := core.ListObjectParts(t.Context(), b.name, key, u.UploadID, 0, 10)
		if err != nil {
			return err
		}
		if len(parts.ObjectParts) > 0 {
			return nil
		}
	}
	return errors.New("there is none")
}

// wantRefused waits for the answer, which must tell when to come again.
func (u *uploading) wantRefused(t *testing.T) {
	t.Helper()
	select {
	case a := <-u.answers:
		if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("an upload that was under way when the object store went away: %s", a)
		}
	case <-time.After(2 * answerWithin):
		t.Error("an upload that was under way when the object store went away is not answered")
	}
	for _, mend := range u.mend {
		if err := mend(); err != nil {
			t.Fatal(err)
		}
	}
}

// versions counts the versions of files that have the content.
func (in *installation) versions(t *testing.T, digest string) (n int) {
	t.Helper()
	if err := in.db.QueryRowContext(t.Context(), "SELECT count(*) FROM file_versions WHERE sha256 = $1", digest).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// prints waits until a job has written into its log.
func (c *rest) prints(t *testing.T, id string) {
	t.Helper()
	err := within(t.Context(), endsWithin, func() error {
		if a := c.call(t.Context(), http.MethodGet, "/api/jobs/"+id+"/log", nil); !bytes.Contains(a.body, []byte("line 1 of")) {
			return fmt.Errorf("%s", a)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (in *installation) areRunning(t *testing.T, jobs map[string]int) {
	t.Helper()
	for id := range jobs {
		var status string
		if err := in.db.QueryRowContext(t.Context(), "SELECT status FROM jobs WHERE id = $1", id).Scan(&status); err != nil || status != "running" {
			t.Errorf("job %s is %s (%v), and was to run while the object store is away", id, status, err)
		}
	}
}

var logLine = regexp.MustCompile(`line (\d+) of attempt (\d+)`)

// hasAll compares log and output file of a job with what its program wrote.
func (c *rest) hasAll(t *testing.T, id string, lines int) {
	t.Helper()
	a := c.finish(t, id, endsWithin)
	attempt := a.text("attempt")
	var got, want []string
	for _, m := range logLine.FindAllStringSubmatch(string(c.must(t, http.StatusOK, http.MethodGet, "/api/jobs/"+id+"/log", nil).body), -1) {
		if m[2] == attempt {
			got = append(got, m[1])
		}
	}
	for n := range lines {
		want = append(want, fmt.Sprint(n+1))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the log of job %s (%s) has %d lines of attempt %s, want %d, each once and in order: %v", id, a.text("status"), len(got), attempt, lines, got)
	}
	var rows strings.Builder
	for n := range outageRows {
		fmt.Fprintf(&rows, "row %d of attempt %s\n", n+1, attempt)
	}
	if out := c.must(t, http.StatusOK, http.MethodGet, "/api/jobs/"+id+"/out/files/rows.txt", nil); string(out.body) != rows.String() {
		t.Errorf("the output file of job %s has %d bytes, want the %d that were written", id, len(out.body), rows.Len())
	}
	t.Logf("job %s ran while the object store was away and ended as %s in attempt %s with %d lines and %d rows", id, a.text("status"), attempt, len(got), outageRows)
}
