package wide

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	leftFiles = 20
	leftBytes = 300_000 // of one output file
	leftLines = 3000
)

// leaving prints a log and leaves files that take some seconds on the way to the object store, which is slow for the worker.
const leaving = `#!/bin/sh
n=0
while [ $n -lt 3000 ]; do n=$((n + 1)); echo "line $n of attempt $WAYBILL_ATTEMPT, made longer so that the log goes out in more than one piece"; done
sleep 3
n=0
while [ $n -lt 20 ]; do n=$((n + 1)); head -c 300000 /dev/urandom > "$LOCAL_JOB_OUT_DIR/file$n"; done
`

// TestLeftoversAreSwept kills a worker in the middle of a log and of output files, and an API process between an object and its row
// and in the middle of an upload: what no row knows goes when the grace is over, and nothing else does.
func TestLeftoversAreSwept(t *testing.T) {
	t.Parallel()
	in := install(t, shape{apis: 1, workers: 1, env: []string{"WAYBILL_RETENTION_INTERVAL=2s"}})
	c, api, worker := in.admin(t, in.apis[0]), in.apis[0], in.workers[0]
	bucket := in.bucket(t)
	config := c.configure(t, "leaves", leaving, nil)
	whole := in.start(t, c, config)
	if a := c.finish(t, whole, endsWithin); a.text("status") != "FINISHED" {
		t.Fatalf("the job that nobody disturbs: %s", a)
	}

	back, err := worker.links[objects].Slow(600)
	if err != nil {
		t.Fatal(err)
	}
	cut := in.start(t, c, config)
	for _, part := range []string{"/log/", "/out/"} {
		in.killWhen(t, worker, func() error { return bucket.some(t, "/jobs/"+cut+part) }, cut)
	}
	if err := back(); err != nil {
		t.Fatal(err)
	}
	if a := c.finish(t, cut, endsWithin); a.text("status") != "FINISHED" {
		t.Fatalf("the job whose worker was killed twice: %s", a)
	}
	lost := in.killBetweenObjectAndRow(t, c, api, config, bucket)
	in.killInTheMiddleOfAnUpload(t, c, api, config)

	strange, blob := in.unknown(t, bucket.keys(t)), ""
	for _, key := range strange {
		if strings.HasSuffix(key, lost) {
			blob = key
		}
	}
	if blob == "" || len(strange) < 2 {
		t.Fatalf("no row knows of %v: want the upload %s and some outputs", strange, lost)
	}
	known := slices.DeleteFunc(bucket.keys(t), func(k string) bool { return slices.Contains(strange, k) })
	t.Logf("%d objects are known, %d are not", len(known), len(strange))

	const grace = 20 * time.Second
	in.env = append(in.env, "WAYBILL_OBJECT_SWEEP_GRACE="+grace.String())
	for _, n := range []*node{worker, api} {
		if err := n.process.stop(); err != nil {
			t.Fatal(err)
		}
		if err := n.start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	in.gone(t, bucket, slices.DeleteFunc(slices.Clone(strange), func(k string) bool { return k == blob }))
	took := time.Since(began)
	if took < grace/2 {
		t.Errorf("they were deleted after %s, with a grace of %s", took, grace)
	}
	t.Logf("the outputs of attempts that were cut off are gone after %s", took.Round(time.Second))
	// Packages wait another day, in which an upload of the same bytes keeps them: that day passes here.
	err = within(t.Context(), endsWithin, func() error {
		r, err := in.db.ExecContext(t.Context(), "UPDATE blob_purges SET purge_after = purge_after - 25::bigint * 3600 * 1000000 WHERE sha256 = $1", lost)
		if err != nil {
			return final(err)
		}
		if n, err := r.RowsAffected(); n != 1 || err != nil {
			return fmt.Errorf("the package is not given up: %d rows, %v", n, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	in.gone(t, bucket, []string{blob})
	now := bucket.keys(t)
	for _, key := range known {
		if !slices.Contains(now, key) {
			t.Errorf("%s was known, and is gone", key)
		}
	}
	for _, id := range []string{whole, cut} {
		in.isWhole(t, c, id)
	}
	in.stop(t)
}

// start starts a job.
func (in *installation) start(t *testing.T, c *rest, config string) string {
	t.Helper()
	return c.must(t, http.StatusAccepted, http.MethodPost, "/api/jobconfigs/"+config+"/jobs", nil).text("id")
}

// killWhen kills a worker as soon as something of a job is there, and starts it again. The job must not have ended before.
func (in *installation) killWhen(t *testing.T, worker *node, there func() error, id string) {
	t.Helper()
	if err := within(t.Context(), endsWithin, there); err != nil {
		t.Fatal(err)
	}
	if err := worker.kill(); err != nil {
		t.Fatal(err)
	}
	var status string
	if err := in.db.QueryRowContext(t.Context(), "SELECT status FROM jobs WHERE id = $1", id).Scan(&status); err != nil || status != "running" {
		t.Fatalf("the worker was killed too late: the job is %s (%v)", status, err)
	}
	if err := worker.start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// killBetweenObjectAndRow kills an API process that has stored an upload and waits to store its row. It gives the object's digest.
func (in *installation) killBetweenObjectAndRow(t *testing.T, c *rest, api *node, config string, bucket *bucketOf) (digest string) {
	t.Helper()
	body := []byte("#!/bin/sh\n# of " + t.Name() + ", whose row is never stored\n")
	sum := sha256.Sum256(body)
	digest = hex.EncodeToString(sum[:])
	tx, err := in.db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }() // it is over by then, if all went well
	if _, err := tx.ExecContext(t.Context(), "LOCK TABLE file_versions IN SHARE ROW EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	answered := make(chan answer, 1)
	go func() {
		answered <- c.call(context.WithoutCancel(t.Context()), http.MethodPost, "/api/jobconfigs/"+config+"/files?key=lost.sh", body)
	}()
	if err := within(t.Context(), time.Minute, func() error { return bucket.some(t, digest) }); err != nil {
		t.Fatal(err)
	}
	in.killAPI(t, api)
	if a := <-answered; a.status != 0 {
		t.Fatalf("the upload was answered before the process was killed: %s", a)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	var rows int
	if err := in.db.QueryRowContext(t.Context(), "SELECT count(*) FROM file_versions WHERE sha256 = $1", digest).Scan(&rows); err != nil || rows != 0 {
		t.Fatalf("the upload has %d rows (%v)", rows, err)
	}
	return digest
}

// killInTheMiddleOfAnUpload kills an API process that has read half of an upload.
func (in *installation) killInTheMiddleOfAnUpload(t *testing.T, c *rest, api *node, config string) {
	t.Helper()
	const half = 24 << 20
	body, feed := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api.url+"/api/jobconfigs/"+config+"/files?key=half.bin", body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 2 * half
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/octet-stream")
	answered := make(chan error, 1)
	go func() {
		resp, err := plain.Do(req)
		if err == nil {
			err = fmt.Errorf("it was answered %s", resp.Status)
			resp.Body.Close()
		} else {
			err = nil
		}
		answered <- err
	}()
	if _, err := io.Copy(feed, bytes.NewReader(bytes.Repeat([]byte("half of it "), half/11))); err != nil {
		t.Fatal(err)
	}
	in.killAPI(t, api)
	_ = feed.CloseWithError(io.ErrUnexpectedEOF)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	c.must(t, http.StatusCreated, http.MethodPost, "/api/jobconfigs/"+config+"/files?key=half.bin", []byte("a repeat"))
}

func (in *installation) killAPI(t *testing.T, api *node) {
	t.Helper()
	if err := api.kill(); err != nil {
		t.Fatal(err)
	}
	if err := api.start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// unknown are the objects that no row names: packages without a version, and outputs that are not a job's.
func (in *installation) unknown(t *testing.T, keys []string) (strange []string) {
	t.Helper()
	digests, outputs := in.column(t, "SELECT sha256 FROM file_versions"), in.column(t, "SELECT object FROM job_outputs")
	for _, key := range keys {
		parts := strings.Split(key, "/") // accounts/1/blobs/ab/abcd... or accounts/1/jobs/ID/out/FENCE/NAME
		switch {
		case parts[2] == "blobs" && !digests[parts[4]], parts[2] == "jobs" && parts[4] == "out" && !outputs[key]:
			strange = append(strange, key)
		}
	}
	return strange
}

func (in *installation) column(t *testing.T, query string) map[string]bool {
	t.Helper()
	rows, err := in.db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := map[string]bool{}
	for rows.Next() {
		var v sql.NullString
		if err := rows.Scan(&v); err != nil {
			t.Fatal(err)
		}
		found[v.String] = true
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// isWhole asks for all that a job has left.
func (in *installation) isWhole(t *testing.T, c *rest, id string) {
	t.Helper()
	log := c.must(t, http.StatusOK, http.MethodGet, "/api/jobs/"+id+"/log", nil)
	if last := fmt.Sprintf("line %d of attempt", leftLines); !bytes.Contains(log.body, []byte(last)) {
		t.Errorf("the log of job %s has no %q; it ends with %s", id, last, tail(string(log.body), 2))
	}
	for n := range leftFiles {
		a := c.must(t, http.StatusOK, http.MethodGet, fmt.Sprintf("/api/jobs/%s/out/files/file%d", id, n+1), nil)
		if len(a.body) != leftBytes {
			t.Errorf("file%d of job %s has %d bytes", n+1, id, len(a.body))
		}
	}
}

// gone waits until objects are not there any more.
func (in *installation) gone(t *testing.T, bucket *bucketOf, keys []string) {
	t.Helper()
	err := within(t.Context(), endsWithin, func() error {
		now := bucket.keys(t)
		for _, k := range keys {
			if slices.Contains(now, k) {
				return fmt.Errorf("%s is there", k)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// bucketOf is an installation's bucket, past all proxies.
type bucketOf struct {
	name   string
	client *minio.Client
}

func (in *installation) bucket(t *testing.T) *bucketOf {
	t.Helper()
	c, err := minio.New(in.objectsAt, &minio.Options{Creds: credentials.NewStaticV4(accessKey, secretKey, "")})
	if err != nil {
		t.Fatal(err)
	}
	return &bucketOf{in.name, c}
}

func (b *bucketOf) keys(t *testing.T) []string {
	t.Helper()
	found := map[string]bool{}
	for o := range b.client.ListObjects(t.Context(), b.name, minio.ListObjectsOptions{Recursive: true}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		found[o.Key] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// some tells whether there are objects whose key has the words.
func (b *bucketOf) some(t *testing.T, words string) error {
	t.Helper()
	for _, k := range b.keys(t) {
		if strings.Contains(k, words) {
			return nil
		}
	}
	return fmt.Errorf("there is no object with %s in its key", words)
}
