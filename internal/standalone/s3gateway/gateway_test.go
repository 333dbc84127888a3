package s3gateway_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"waybill/internal/standalone/s3gateway"
)

const bucket = "bucket"

func start(t *testing.T, c s3gateway.Config) (*s3gateway.Gateway, *minio.Core) {
	t.Helper()
	g, err := s3gateway.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, g) })
	cred := g.Credentials()
	client, err := minio.NewCore(cred.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(cred.AccessKey, cred.SecretKey, ""), Region: cred.Region, TrailingHeaders: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return g, client
}

func stop(t *testing.T, g *s3gateway.Gateway) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
	defer cancel()
	if err := g.Stop(ctx); err != nil {
		t.Error(err)
	}
}

func folder(t *testing.T) s3gateway.Config {
	dir := t.TempDir()
	return s3gateway.Config{Dir: filepath.Join(dir, "objects"), SidecarDir: filepath.Join(dir, "metadata")}
}

func put(t *testing.T, c *minio.Core, key, content string) {
	t.Helper()
	_, err := c.Client.PutObject(t.Context(), bucket, key, strings.NewReader(content), int64(len(content)),
		minio.PutObjectOptions{ContentType: "text/plain"})
	if err != nil {
		t.Fatal(err)
	}
}

func holds(t *testing.T, c *minio.Core, key, content string) {
	t.Helper()
	rc, info, _, err := c.GetObject(t.Context(), bucket, key, minio.GetObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	got, err := io.ReadAll(rc)
	if err != nil || string(got) != content || info.ContentType != "text/plain" || info.ETag == "" {
		t.Errorf("%s holds %q (%s, etag %q), %v, want %q", key, got, info.ContentType, info.ETag, err, content)
	}
}

func makeBucket(t *testing.T, c *minio.Core) {
	t.Helper()
	if err := c.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
}

// A gateway on the same folder, moved or not, gives back what the last one stored.
func TestObjectsOutliveTheGateway(t *testing.T) {
	for name, files := range map[string]bool{"extended attributes": false, "metadata files": true} {
		t.Run(name, func(t *testing.T) {
			cfg := folder(t)
			cfg.MetadataFiles = files
			g, c := start(t, cfg)
			makeBucket(t, c)
			put(t, c, "a/b c", "content")
			stop(t, g)

			moved := filepath.Join(t.TempDir(), "moved")
			if err := os.Rename(filepath.Dir(cfg.Dir), moved); err != nil {
				t.Fatal(err)
			}
			again := s3gateway.Config{Dir: filepath.Join(moved, "objects"), SidecarDir: filepath.Join(moved, "metadata")}
			_, c = start(t, again)
			holds(t, c, "a/b c", "content")
			if err := c.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}); minio.ToErrorResponse(err).Code !=
				minio.BucketAlreadyOwnedByYou {
				t.Errorf("MakeBucket = %v, want that it is there", err)
			}
		})
	}
}

func TestTheSecretIsNewUnlessItIsGiven(t *testing.T) {
	cfg := folder(t)
	g, old := start(t, cfg)
	makeBucket(t, old)
	first := g.Credentials()
	stop(t, g)
	g, _ = start(t, cfg)
	second := g.Credentials()
	if first.SecretKey == second.SecretKey {
		t.Error("the secret is the same as before")
	}
	c, err := minio.New(second.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(first.AccessKey, first.SecretKey, ""), Region: first.Region,
	})
	if err != nil {
		t.Fatal(err)
	}
	if found, err := c.BucketExists(t.Context(), bucket); err == nil {
		t.Errorf("BucketExists with the old secret = %v, want an error", found)
	}
}

func TestARestartWithTheSameAddressAndSecretServesOldClients(t *testing.T) {
	cfg := folder(t)
	g, client := start(t, cfg)
	makeBucket(t, client)
	put(t, client, "key", "before")
	was := g.Credentials()
	stop(t, g)
	cfg.Address, cfg.SecretKey = was.Endpoint, was.SecretKey
	g, _ = start(t, cfg)
	if now := g.Credentials(); now != was {
		t.Errorf("the gateway is at %s, want %s, with the same keys", now.Endpoint, was.Endpoint)
	}
	holds(t, client, "key", "before")

	taken, _ := start(t, s3gateway.Config{Dir: t.TempDir(), SidecarDir: t.TempDir(), Address: was.Endpoint, SecretKey: was.SecretKey})
	if at := taken.Credentials().Endpoint; at == was.Endpoint || at == "" {
		t.Errorf("a second gateway is at %q, want another address", at)
	}
	for _, wish := range []string{"0.0.0.0:0", "192.0.2.1:9000", "nonsense", "127.0.0.1:0"} {
		g, _ := start(t, s3gateway.Config{Dir: t.TempDir(), SidecarDir: t.TempDir(), Address: wish})
		if at := g.Credentials().Endpoint; !strings.HasPrefix(at, "127.0.0.1:") || strings.HasSuffix(at, ":0") {
			t.Errorf("with the wish %q the gateway is at %q, want a port of this machine", wish, at)
		}
	}
}

// versitygw itself works in its folder and can run once per process.
func TestGatewaysLeaveTheWorkingFolderAlone(t *testing.T) {
	before, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	_, one := start(t, folder(t))
	_, two := start(t, folder(t))
	makeBucket(t, one)
	makeBucket(t, two)
	put(t, one, "key", "of one")
	put(t, two, "key", "of two")
	holds(t, one, "key", "of one")
	holds(t, two, "key", "of two")
	if after, err := os.Getwd(); err != nil || after != before {
		t.Errorf("working folder is %s, %v, want %s", after, err, before)
	}
}

func TestUnfinishedUploadsDieWithTheGateway(t *testing.T) {
	cfg := folder(t)
	g, c := start(t, cfg)
	makeBucket(t, c)
	put(t, c, "kept", "content")
	id, err := c.NewMultipartUpload(t.Context(), bucket, "big", minio.PutObjectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	part := bytes.Repeat([]byte("x"), 5<<20)
	if _, err := c.PutObjectPart(t.Context(), bucket, "big", id, 1, bytes.NewReader(part), int64(len(part)),
		minio.PutObjectPartOptions{}); err != nil {
		t.Fatal(err)
	}
	stop(t, g)
	if size := folderSize(t, cfg.Dir); size < int64(len(part)) {
		t.Fatalf("folder has %d bytes, want the part in it", size)
	}
	_, c = start(t, cfg)
	if size := folderSize(t, cfg.Dir); size > 1000 {
		t.Errorf("folder has %d bytes, want the kept object only", size)
	}
	holds(t, c, "kept", "content")
}

func folderSize(t *testing.T, dir string) (size int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// Other S3 tools ask for what Waybill does not use. They must be told so, and nothing may reach the working folder.
func TestUnsupportedCallsAreRefused(t *testing.T) {
	_, c := start(t, folder(t))
	makeBucket(t, c)
	put(t, c, "key", "content")
	err := c.SetBucketPolicy(t.Context(), bucket, `{"Version":"2012-10-17","Statement":[]}`)
	if err == nil {
		t.Error("SetBucketPolicy is accepted")
	}
	_, err = c.Client.CopyObject(t.Context(), minio.CopyDestOptions{Bucket: bucket, Object: "copy"},
		minio.CopySrcOptions{Bucket: bucket, Object: "key"})
	if code := minio.ToErrorResponse(err).Code; code != "NotImplemented" {
		t.Errorf("CopyObject = %v, want NotImplemented", err)
	}
	if _, err := os.Stat(bucket); !os.IsNotExist(err) {
		t.Errorf("the working folder has a %s: %v", bucket, err)
	}
}

// A key must not lead out of its bucket.
func TestKeysStayInTheirBucket(t *testing.T) {
	cfg := folder(t)
	_, c := start(t, cfg)
	makeBucket(t, c)
	for _, key := range []string{"../escaped", "a/../../escaped", "..", "/../escaped"} {
		_, err := c.Client.PutObject(t.Context(), bucket, key, strings.NewReader("x"), 1, minio.PutObjectOptions{})
		if err == nil {
			t.Logf("%s is accepted", key)
		}
	}
	for _, path := range []string{filepath.Join(cfg.Dir, "escaped"), filepath.Join(cfg.Dir, "..", "escaped")} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s exists: %v", path, err)
		}
	}
}

func TestUnusableFolders(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"a file": file, "below a file": filepath.Join(file, "x"), "read-only": "/proc"} {
		g, err := s3gateway.Start(t.Context(), s3gateway.Config{Dir: dir, SidecarDir: file + "-meta", Logger: slog.Default()})
		if err == nil {
			stop(t, g)
			t.Errorf("%s: started", name)
			continue
		}
		if !strings.Contains(err.Error(), "object folder") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q, want one line about the object folder", name, err)
		}
	}
}
