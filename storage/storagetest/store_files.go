package storagetest

import (
	"fmt"
	"slices"
	"testing"

	"waybill/internal/job"
)

func (n *tenant) newFile(key string) job.File {
	return job.File{
		AccountID: n.account.ID, EntityType: job.EntityJobConfig, EntityID: n.config.ID, Key: key, Size: 42,
		SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", ContentType: "application/zip",
		CreatedAt: start, CreatedBy: n.admin.Ref(),
	}
}

func (n *tenant) upload(t *testing.T, key string) job.File {
	t.Helper()
	f, err := n.AddFile(t.Context(), n.newFile(key))
	if err != nil {
		t.Fatalf("AddFile(%s): %v", key, err)
	}
	return f
}

func (n *tenant) file(t *testing.T, key string, version int) (job.File, error) {
	t.Helper()
	return n.File(t.Context(), n.account.ID, job.EntityJobConfig, n.config.ID, key, version)
}

var fileCases = map[string]func(*testing.T, *tenant){
	"versions count from 1 and stay as they were": func(t *testing.T, n *tenant) {
		f := n.newFile("dir/Prüfung.djar")
		f.Archive = &job.Archive{EntryPoints: []string{"b.process", "a.process"}, Main: "b.process"}
		first, err := n.AddFile(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		f.Version = 1
		same(t, "first", first, f)
		f.SHA256, f.Size, f.Archive, f.CreatedAt = "ff", 0, nil, at(1)
		second, err := n.AddFile(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "second version", second.Version, 2)
		for version, want := range map[int]job.File{0: second, 1: first, 2: second} {
			got, err := n.file(t, f.Key, version)
			if err != nil {
				t.Fatal(err)
			}
			same(t, fmt.Sprintf("version %d", version), got, want)
		}
	},
	"an absent file is not found": func(t *testing.T, n *tenant) {
		n.upload(t, "a.djar")
		for key, version := range map[string]int{"none.djar": 0, "a.djar": 2, "A.djar": 0, "nul\x00": 0, "\xff": 1} {
			_, err := n.file(t, key, version)
			absent(t, err)
		}
		_, err := n.file(t, "none.djar", 0)
		says(t, err, fmt.Sprintf("File 'none.djar' not found on job config %d", n.config.ID))
		for _, key := range []string{"none.djar", "nul\x00"} {
			absent(t, n.DeleteFile(t.Context(), n.account.ID, job.EntityJobConfig, n.config.ID, key))
		}
		_, err = n.FileVersions(t.Context(), n.account.ID, job.EntityJobConfig, n.config.ID, "none.djar", job.Query{})
		absent(t, err)
	},
	"a file can not be added to an absent config": func(t *testing.T, n *tenant) {
		f := n.newFile("a.djar")
		f.EntityID = 999_999
		_, err := n.AddFile(t.Context(), f)
		absent(t, err)
		says(t, err, "Job config 999999 not found")
	},
	"another account sees no file": func(t *testing.T, n *tenant) {
		n.upload(t, "a.djar")
		b := n.other(t)
		entity := n.config.ID
		_, err := b.File(t.Context(), b.account.ID, job.EntityJobConfig, entity, "a.djar", 1)
		absent(t, err)
		_, err = b.FileVersions(t.Context(), b.account.ID, job.EntityJobConfig, entity, "a.djar", job.Query{})
		absent(t, err)
		absent(t, b.DeleteFile(t.Context(), b.account.ID, job.EntityJobConfig, entity, "a.djar"))
		stolen := n.newFile("b.djar")
		stolen.AccountID = b.account.ID
		_, err = b.AddFile(t.Context(), stolen)
		absent(t, err)
		files, err := b.Files(t.Context(), b.account.ID, job.EntityJobConfig, entity, job.Query{})
		if err != nil || len(files.Items) != 0 {
			t.Errorf("list = %d files, %v, want none", len(files.Items), err)
		}
	},
	"a deleted key leaves the lists, its versions stay and counting goes on": func(t *testing.T, n *tenant) {
		n.upload(t, "a.djar")
		n.upload(t, "b.djar")
		if err := n.DeleteFile(t.Context(), n.account.ID, job.EntityJobConfig, n.config.ID, "a.djar"); err != nil {
			t.Fatal(err)
		}
		_, err := n.file(t, "a.djar", 0)
		absent(t, err)
		absent(t, n.DeleteFile(t.Context(), n.account.ID, job.EntityJobConfig, n.config.ID, "a.djar"))
		if _, err := n.file(t, "a.djar", 1); err != nil {
			t.Errorf("version 1: %v, want it readable", err)
		}
		same(t, "keys", n.keys(t, job.Query{}), []string{"b.djar"})
		same(t, "next version", n.upload(t, "a.djar").Version, 2)
		same(t, "keys", n.keys(t, job.Query{}), []string{"a.djar", "b.djar"})
	},
	"files list their newest versions, filtered, sorted and paged": func(t *testing.T, n *tenant) {
		for i, key := range []string{"Ä.zip", "b.zip", "a.djar", "B.djar"} {
			f := n.newFile(key)
			f.Size, f.CreatedAt = int64(10-i), at(i)
			for range 2 {
				if _, err := n.AddFile(t.Context(), f); err != nil {
					t.Fatal(err)
				}
			}
		}
		same(t, "by name", n.keys(t, job.Query{}), []string{"a.djar", "B.djar", "b.zip", "Ä.zip"})
		same(t, "by size", n.keys(t, job.Query{Sort: []job.Sort{{Property: "size"}}}), []string{"B.djar", "a.djar", "b.zip", "Ä.zip"})
		same(t, "newest", n.keys(t, job.Query{Sort: []job.Sort{{Property: "created", Desc: true}}, Size: 1}), []string{"B.djar"})
		same(t, "like", n.keys(t, job.Query{Where: compare("name", job.Like, "ä.Z")}), []string{"Ä.zip"})
		var walked []string
		q := job.Query{Size: 1, Keyset: true}
		for more := true; more; {
			page := n.files(t, q)
			if len(walked) > 4 {
				t.Fatalf("walked %v, want an end", walked)
			}
			for _, f := range page.Items {
				walked = append(walked, f.Key)
				same(t, "version", f.Version, 2)
			}
			q.After, more = page.Next, page.More
		}
		same(t, "walked", walked, []string{"a.djar", "B.djar", "b.zip", "Ä.zip"})
		_, err := n.Files(t.Context(), n.account.ID, job.EntityJobConfig, n.config.ID, job.Query{Where: compare("colour", job.Eq, "red")})
		refused(t, err, job.Invalid, job.WordUnknownProperty)
	},
	"versions list newest first": func(t *testing.T, n *tenant) {
		for range 3 {
			n.upload(t, "a.djar")
		}
		versions, err := n.FileVersions(t.Context(), n.account.ID, job.EntityJobConfig, n.config.ID, "a.djar", job.Query{Size: 2})
		if err != nil || versions.Total != 3 || !versions.More {
			t.Fatalf("versions = %+v, %v, want 2 of 3", versions, err)
		}
		same(t, "first", versions.Items[0].Version, 3)
		same(t, "second", versions.Items[1].Version, 2)
	},
	"twenty uploads to one key at once get the versions 1 to 20": func(t *testing.T, n *tenant) {
		const uploads = 20
		versions := make([]int, uploads)
		for _, err := range atOnce(uploads, func(i int) error {
			f, err := n.AddFile(t.Context(), n.newFile("race.djar"))
			versions[i] = f.Version
			return err
		}) {
			if err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(versions)
		for i, v := range versions {
			if v != i+1 {
				t.Fatalf("versions = %v, want 1 to %d", versions, uploads)
			}
		}
	},
	"several are added, or none": func(t *testing.T, n *tenant) {
		good, bad := []job.File{n.newFile("a.csv"), n.newFile("b.csv"), n.newFile("a.csv")}, n.newFile("c.csv")
		bad.EntityID = 999_999
		_, err := n.AddFiles(t.Context(), append(slices.Clone(good), bad))
		absent(t, err)
		same(t, "keys after a bad one", len(n.keys(t, job.Query{})), 0)
		added, err := n.AddFiles(t.Context(), good)
		if err != nil {
			t.Fatal(err)
		}
		for i, version := range []int{1, 1, 2} {
			same(t, "version", added[i].Version, version)
		}
		same(t, "keys", n.keys(t, job.Query{}), []string{"a.csv", "b.csv"})
	},
	"keys are found by how many folders they lie in": func(t *testing.T, n *tenant) {
		for _, key := range []string{"a", "ü/b", "ü/c/d", "ü/e"} {
			n.upload(t, key)
		}
		for depth, want := range [][]string{{"a"}, {"ü/b", "ü/e"}, {"ü/c/d"}, nil} {
			same(t, fmt.Sprintf("depth %d", depth), n.keys(t, job.Query{Where: compare("depth", job.Eq, depth)}), want)
		}
	},
}

func (n *tenant) files(t *testing.T, q job.Query) job.List[job.File] {
	t.Helper()
	files, err := n.Files(t.Context(), n.account.ID, job.EntityJobConfig, n.config.ID, q)
	if err != nil {
		t.Fatalf("Files: %v", err)
	}
	return files
}

func (n *tenant) keys(t *testing.T, q job.Query) []string {
	t.Helper()
	var keys []string
	for _, f := range n.files(t, q).Items {
		keys = append(keys, f.Key)
	}
	return keys
}
