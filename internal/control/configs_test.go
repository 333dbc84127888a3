package control_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

func TestSecureMacrosAreSealedKeptAndNeverMadePlain(t *testing.T) {
	w := newWorld(t)
	in := control.ConfigInput{Name: "c", Runtime: job.RuntimeConfig{Macros: []job.Macro{{Key: "TOKEN", Value: "s3cret", Secure: true}, {Key: "A", Value: "1"}}}}
	c, err := w.configs.Create(t.Context(), w.admin, in)
	if err != nil {
		t.Fatal(err)
	}
	sealed := c.Runtime.Macros[0]
	if sealed.Value != "" || sealed.Sealed == "" || strings.Contains(sealed.Sealed, "s3cret") {
		t.Errorf("stored as %+v", sealed)
	}
	in.Runtime.Macros = []job.Macro{{Key: "TOKEN", Secure: true}} // as a client that writes back what it read
	if c, err = w.configs.Replace(t.Context(), w.admin, c.ObjectID, in); err != nil || c.Runtime.Macros[0].Sealed != sealed.Sealed {
		t.Errorf("the stored value was not kept: %+v, %v", c.Runtime.Macros, err)
	}
	in.Runtime.Macros = []job.Macro{{Key: "TOKEN", Value: "new", Secure: true}}
	if c, err = w.configs.Replace(t.Context(), w.admin, c.ObjectID, in); err != nil || c.Runtime.Macros[0].Sealed == sealed.Sealed {
		t.Errorf("the new value was not taken: %v", err)
	}
	in.Runtime.Macros = []job.Macro{{Key: "TOKEN", Value: "plain"}}
	_, err = w.configs.Replace(t.Context(), w.admin, c.ObjectID, in)
	want(t, err, job.Invalid, job.WordInvalidField)
}

func TestBadConfigsAreRefused(t *testing.T) {
	w := newWorld(t)
	if _, err := w.configs.Create(t.Context(), w.admin, control.ConfigInput{Name: "Taken"}); err != nil {
		t.Fatal(err)
	}
	macros := func(m ...job.Macro) job.RuntimeConfig { return job.RuntimeConfig{Macros: m} }
	for name, x := range map[string]struct {
		in   control.ConfigInput
		code job.Code
		word job.Word
	}{
		"no name":          {control.ConfigInput{Name: " \t"}, job.Invalid, job.WordMissingField},
		"long name":        {control.ConfigInput{Name: strings.Repeat("ä", 256)}, job.Invalid, job.WordInvalidField},
		"control in name":  {control.ConfigInput{Name: "a\x00b"}, job.Invalid, job.WordInvalidField},
		"name is taken":    {control.ConfigInput{Name: " tAKEN "}, job.Conflict, job.WordDuplicateName},
		"bad object id":    {control.ConfigInput{Name: "x", ObjectID: "44"}, job.Invalid, job.WordInvalidField},
		"negative timeout": {control.ConfigInput{Name: "x", Timeout: -1}, job.Invalid, job.WordInvalidField},
		"log level":        {control.ConfigInput{Name: "x", Runtime: job.RuntimeConfig{LogLevel: "info"}}, job.Invalid, job.WordInvalidField},
		"package key":      {control.ConfigInput{Name: "x", Runtime: job.RuntimeConfig{PackageName: "../p.zip"}}, job.Invalid, job.WordInvalidKey},
		"pin without name": {control.ConfigInput{Name: "x", Runtime: job.RuntimeConfig{PackageVersion: 2}}, job.Invalid, job.WordInvalidField},
		"macro twice":      {control.ConfigInput{Name: "x", Runtime: macros(job.Macro{Key: "A"}, job.Macro{Key: "A"})}, job.Invalid, job.WordInvalidField},
		"macro no key":     {control.ConfigInput{Name: "x", Runtime: macros(job.Macro{Value: "1"})}, job.Invalid, job.WordMissingField},
		"macro NUL":        {control.ConfigInput{Name: "x", Runtime: macros(job.Macro{Key: "A", Value: "\x00"})}, job.Invalid, job.WordInvalidField},
		"macro loop":       {control.ConfigInput{Name: "x", Runtime: macros(job.Macro{Key: "A", Value: "$(A)"})}, job.Invalid, job.WordInvalidField},
		"attempts":         {control.ConfigInput{Name: "x", Retry: job.RetryPolicy{MaximumAttempts: -1}}, job.Invalid, job.WordInvalidField},
		"worker loss":      {control.ConfigInput{Name: "x", OnLoss: "ignore"}, job.Invalid, job.WordInvalidField},
		"no destination":   {control.ConfigInput{Name: "x", Destination: 99}, job.Invalid, job.WordInvalidField},
		"NUL in a label":   {control.ConfigInput{Name: "x", Labels: job.Labels{AgentID: "a\x00"}}, job.Invalid, job.WordInvalidField},
		"a task type":      {control.ConfigInput{Name: "x", Labels: job.Labels{TaskType: "FOO"}}, job.Invalid, job.WordInvalidField},
		"NUL in an id":     {control.ConfigInput{Name: "x", Runtime: job.RuntimeConfig{PackageEntityID: "\x00"}}, job.Invalid, job.WordInvalidField},
		"NUL in the text":  {control.ConfigInput{Name: "x", Description: "\x00"}, job.Invalid, job.WordInvalidField},
		"empty tag":        {control.ConfigInput{Name: "x", Tags: []string{" "}}, job.Invalid, job.WordInvalidField},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.configs.Create(t.Context(), w.admin, x.in)
			want(t, err, x.code, x.word)
		})
	}
	if list, err := w.configs.List(t.Context(), w.admin, job.Query{Size: 10}); err != nil || len(list.Items) != 1 {
		t.Errorf("%d configs are there, %v", len(list.Items), err)
	}
}

func TestChangesAtOnceAreAllKept(t *testing.T) {
	w := newWorld(t)
	c, err := w.configs.Create(t.Context(), w.admin, control.ConfigInput{Name: "c"})
	if err != nil {
		t.Fatal(err)
	}
	tags := []string{"a", "b", "c"}
	var group sync.WaitGroup
	for _, tag := range tags {
		group.Go(func() {
			_, err := w.configs.Change(t.Context(), w.admin, c.ObjectID, func(c job.Config) (control.ConfigInput, error) {
				return control.ConfigInput{Name: c.Name, Tags: append(c.Tags, tag)}, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if c, err = w.configs.Get(t.Context(), w.admin, c.ObjectID); err != nil || len(c.Tags) != len(tags) {
		t.Errorf("tags %v, %v", c.Tags, err)
	}
}

func TestBulkCallsDoAllOrNothing(t *testing.T) {
	w := newWorld(t)
	a, b := w.runnable(w.admin, "a"), w.runnable(w.admin, "b")
	err := w.configs.SetActive(t.Context(), w.admin, []string{a.ObjectID, "9999"}, false)
	want(t, err, job.NotFound, job.WordNotFound)
	if c, err := w.configs.Get(t.Context(), w.admin, a.ObjectID); err != nil || !c.Active {
		t.Errorf("half of the call was made: %+v, %v", c.Active, err)
	}
	err = w.configs.Delete(t.Context(), w.admin, []string{b.ObjectID, "9999"})
	want(t, err, job.NotFound, job.WordNotFound)
	want(t, w.configs.Delete(t.Context(), w.admin, nil), job.Invalid, job.WordMissingField)
	if err := w.configs.Delete(t.Context(), w.admin, []string{a.ObjectID, b.ObjectID}); err != nil {
		t.Fatal(err)
	}
	_, err = w.configs.Get(t.Context(), w.admin, a.ObjectID)
	want(t, err, job.NotFound, job.WordNotFound)
}

func TestFileKeys(t *testing.T) {
	for key, word := range map[string]job.Word{
		"p.zip": "", "a/b/c.txt": "", "versions/a": "", "x/entrypoints": "", strings.Repeat("k", 1024): "",
		"": job.WordMissingField, strings.Repeat("k", 1025): job.WordInvalidKey, "/a": job.WordInvalidKey, "a/../b": job.WordInvalidKey,
		"./a": job.WordInvalidKey, "a\\b": job.WordInvalidKey, "a\nb": job.WordInvalidKey, "entrypoints": job.WordInvalidKey,
		"entrypoints/a": job.WordInvalidKey, "a/versions": job.WordInvalidKey, "a//b": job.WordInvalidKey, "a/": job.WordInvalidKey, "\xff": job.WordInvalidKey,
	} {
		if err := control.CheckKey(key); job.WordOf(err) != word {
			t.Errorf("%q: %v, want %q", key, err, word)
		}
	}
}

// objects is an object store in memory.
type objects struct {
	mu   sync.Mutex
	held map[string][]byte
	fail error
}

func (o *objects) Put(_ context.Context, key string, r io.Reader, _ int64) (control.Object, error) {
	if o.fail != nil {
		return control.Object{}, o.fail
	}
	text, err := io.ReadAll(r)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held[key] = text
	return control.Object{Key: key, Size: int64(len(text))}, err
}

func (o *objects) Stat(_ context.Context, key string) (control.Object, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	text, ok := o.held[key]
	if !ok {
		return control.Object{}, job.Errorf(job.NotFound, job.WordNotFound, "no object")
	}
	return control.Object{Key: key, Size: int64(len(text))}, nil
}

func (o *objects) Get(_ context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	text := o.held[key][offset:]
	if length >= 0 {
		text = text[:length]
	}
	return io.NopCloser(bytes.NewReader(text)), nil
}
func (o *objects) List(context.Context, string, string, func(control.Object) bool) error { return nil }
func (o *objects) Delete(context.Context, string) error                                  { return nil }

// zips takes every .zip whose bytes begin with "PK".
type zips struct{}

func (zips) Is(key string) bool { return strings.HasSuffix(key, ".zip") }
func (zips) Inspect(_ context.Context, r io.ReaderAt, _ int64, _ string) (job.Archive, error) {
	head := make([]byte, 2)
	if _, err := r.ReadAt(head, 0); err != nil || string(head) != "PK" {
		return job.Archive{}, job.Errorf(job.Invalid, job.WordInvalidPackage, "not a zip")
	}
	return job.Archive{EntryPoints: []string{"main.py"}}, nil
}

func TestUploadsAreCheckedAndRefusedOnesLeaveNothing(t *testing.T) {
	w := newWorld(t)
	store, spool := &objects{held: map[string][]byte{}}, t.TempDir()
	files := &control.Files{Configs: w.configs, Store: w.store, Blobs: w.store, Objects: store, Archives: zips{}, Spool: spool, MaxSize: 1000, Now: w.Now}
	c := w.runnable(w.admin, "c")
	digest := sha256.Sum256([]byte("PK.."))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, x := range map[string]struct {
		ctx    context.Context
		config string
		upload control.Upload
		fail   error
		word   job.Word
	}{
		"too large":       {t.Context(), c.ObjectID, control.Upload{Key: "a", Body: bytes.NewReader(make([]byte, 1001))}, nil, job.WordTooLarge},
		"not an archive":  {t.Context(), c.ObjectID, control.Upload{Key: "a.zip", Body: strings.NewReader("XX")}, nil, job.WordInvalidPackage},
		"empty archive":   {t.Context(), c.ObjectID, control.Upload{Key: "a.zip", Body: strings.NewReader("")}, nil, job.WordInvalidPackage},
		"wrong digest":    {t.Context(), c.ObjectID, control.Upload{Key: "a", Body: strings.NewReader("x"), SHA256: digest[:]}, nil, job.WordDigestMismatch},
		"bad key":         {t.Context(), c.ObjectID, control.Upload{Key: "../a", Body: strings.NewReader("x")}, nil, job.WordInvalidKey},
		"unknown config":  {t.Context(), "9999", control.Upload{Key: "a", Body: strings.NewReader("x")}, nil, job.WordNotFound},
		"PUT without key": {t.Context(), c.ObjectID, control.Upload{Key: "a", Body: strings.NewReader("x"), MustExist: true}, nil, job.WordNotFound},
		"broken body":     {t.Context(), c.ObjectID, control.Upload{Key: "a", Body: iotest.ErrReader(errors.New("cut off"))}, nil, job.WordInvalidField},
		"caller gone":     {gone, c.ObjectID, control.Upload{Key: "a", Body: strings.NewReader("x")}, nil, ""},
		"store down":      {t.Context(), c.ObjectID, control.Upload{Key: "a", Body: strings.NewReader("x")}, errDown, job.WordDependencyDown},
	} {
		t.Run(name, func(t *testing.T) {
			store.fail = x.fail
			_, err := files.Add(x.ctx, w.admin, control.OfConfig(x.config), x.upload)
			if err == nil || job.WordOf(err) != x.word {
				t.Errorf("err = %v (%s), want %s", err, job.WordOf(err), x.word)
			}
		})
	}
	store.fail = nil
	left, err := os.ReadDir(spool)
	if err != nil || len(left) != 0 || len(store.held) != 0 {
		t.Errorf("%d files in the spool, %d objects are left, %v", len(left), len(store.held), err)
	}
	list, err := files.List(t.Context(), w.admin, control.OfConfig(c.ObjectID), job.Query{Size: 10})
	if err != nil || len(list.Items) != 1 { // the one that runnable made
		t.Errorf("%d files listed, %v", len(list.Items), err)
	}
}

func TestUploadsMakeVersionsAndShareEqualBytes(t *testing.T) {
	w := newWorld(t)
	store := &objects{held: map[string][]byte{}}
	files := &control.Files{Configs: w.configs, Store: w.store, Blobs: w.store, Objects: store, Archives: zips{}, Spool: t.TempDir(), MaxSize: 1000, Now: w.Now}
	c := w.runnable(w.admin, "c")
	digest := sha256.Sum256([]byte("PK1"))
	for i, text := range []string{"PK1", "PK2", "PK1"} {
		w.Pass(time.Second)
		u := control.Upload{Key: "a.zip", Body: strings.NewReader(text), MustExist: i > 0}
		if text == "PK1" {
			u.SHA256 = digest[:]
		}
		f, err := files.Add(t.Context(), w.admin, control.OfConfig(c.ObjectID), u)
		if err != nil || f.Version != i+1 || f.Size != 3 {
			t.Fatalf("upload %d: %+v, %v", i, f, err)
		}
	}
	if len(store.held) != 2 {
		t.Errorf("%d objects for two contents", len(store.held))
	}
	f, err := files.Get(t.Context(), w.admin, control.OfConfig(c.ObjectID), "a.zip", 2)
	if err != nil {
		t.Fatal(err)
	}
	r, err := files.Open(t.Context(), f, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); string(text) != "K2" || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
	name, points, err := files.EntryPoints(t.Context(), w.admin, control.OfConfig(c.ObjectID), "a.zip")
	if err != nil || name != "a.zip" || len(points.EntryPoints) != 1 {
		t.Errorf("entry points %s %v, %v", name, points, err)
	}
	_, _, err = files.EntryPoints(t.Context(), w.admin, control.OfConfig(c.ObjectID), "")
	want(t, err, job.Invalid, job.WordInvalidPackage) // the config's own package is a script
	if err := files.Delete(t.Context(), w.admin, control.OfConfig(c.ObjectID), "a.zip"); err != nil {
		t.Fatal(err)
	}
	_, err = files.Get(t.Context(), w.admin, control.OfConfig(c.ObjectID), "a.zip", 0)
	want(t, err, job.NotFound, job.WordNotFound)
}

func TestATaskTypeIsOneOfTheSevenUnlessItIsThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := w.Now()
	c, err := w.store.CreateConfig(t.Context(), job.Config{ // as an older version took it
		AccountID: w.admin.AccountID, ObjectID: newID(), Owner: w.admin.User, Name: "old", Active: true, CreatedAt: now, CreatedBy: w.admin.User,
		ModifiedAt: now, ModifiedBy: w.admin.User, Labels: job.Labels{TaskType: "FOO"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		word string
		code job.Code
	}{{"FOO", ""}, {"Workflow", ""}, {"FOO", job.Invalid}, {"", ""}} {
		_, err := w.configs.Replace(t.Context(), w.admin, c.ObjectID, control.ConfigInput{Name: "old", Labels: job.Labels{TaskType: one.word}})
		if job.CodeOf(err) != one.code {
			t.Errorf("%q: %v, want %q", one.word, err, one.code)
		}
	}
}
