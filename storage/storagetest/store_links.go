package storagetest

import (
	"slices"
	"testing"

	"waybill/internal/job"
)

// shared puts a file on the account itself.
func (n *tenant) shared(t *testing.T, key, digest string) job.File {
	t.Helper()
	f := n.newFile(key)
	f.EntityType, f.EntityID, f.SHA256 = job.EntityAccount, n.account.ID, digest
	f, err := n.AddFile(t.Context(), f)
	if err != nil {
		t.Fatalf("AddFile(%s) to the account: %v", key, err)
	}
	return f
}

func (n *tenant) newLink(key string) job.FileLink {
	return job.FileLink{
		AccountID: n.account.ID, EntityType: job.EntityJobConfig, EntityID: n.config.ID, SourceType: job.EntityAccount, SourceID: n.account.ID,
		Key: key, CreatedAt: start, CreatedBy: n.admin.Ref(),
	}
}

func (n *tenant) link(t *testing.T, key string) job.FileLink {
	t.Helper()
	l, err := n.AddLink(t.Context(), n.newLink(key))
	if err != nil || l.ID == 0 {
		t.Fatalf("AddLink(%s): %+v, %v", key, l, err)
	}
	return l
}

func (n *tenant) unlink(t *testing.T, l job.FileLink) error {
	t.Helper()
	return n.DeleteLink(t.Context(), l.AccountID, l.EntityType, l.EntityID, l.ID)
}

var linkCases = map[string]func(*testing.T, *tenant){
	"files hang on accounts and users too": func(t *testing.T, n *tenant) {
		of := n.newFile("a.djar")
		of.EntityType, of.EntityID = job.EntityUser, n.admin.ID
		if f, err := n.AddFile(t.Context(), of); err != nil || f.Version != 1 {
			t.Errorf("AddFile to the user: %+v, %v", f, err)
		}
		n.shared(t, "a.djar", "aa")
		same(t, "the config's files", n.keys(t, job.Query{}), nil)
		b := n.other(t)
		for kind, id := range map[job.EntityType]int64{job.EntityAccount: n.account.ID, job.EntityUser: n.admin.ID, "JOB": 1} {
			f := b.newFile("b.djar")
			f.EntityType, f.EntityID = kind, id
			_, err := b.AddFile(t.Context(), f)
			absent(t, err)
		}
		_, err := b.File(t.Context(), b.account.ID, job.EntityAccount, n.account.ID, "a.djar", 0)
		absent(t, err)
	},
	"a linked file is found like one's own": func(t *testing.T, n *tenant) {
		n.upload(t, "own.djar")
		n.shared(t, "lib.djar", "aa")
		n.shared(t, "not linked.djar", "aa")
		l := n.link(t, "lib.djar")
		second := n.shared(t, "lib.djar", "bb")
		for version, digest := range map[int]string{0: "bb", 1: "aa", 2: "bb"} {
			f, err := n.file(t, "lib.djar", version)
			if err != nil || f.SHA256 != digest || f.LinkID != l.ID || f.EntityType != job.EntityAccount || f.EntityID != n.account.ID {
				t.Errorf("version %d: %+v, %v", version, f, err)
			}
		}
		files := n.files(t, job.Query{})
		same(t, "keys", n.keys(t, job.Query{}), []string{"lib.djar", "own.djar"})
		same(t, "total", files.Total, 2)
		second.LinkID = l.ID
		same(t, "the linked one", files.Items[0], second)
		same(t, "the own one's link", files.Items[1].LinkID, int64(0))
		versions, err := n.FileVersions(t.Context(), n.account.ID, job.EntityJobConfig, n.config.ID, "lib.djar", job.Query{})
		if err != nil || len(versions.Items) != 2 || versions.Items[0].LinkID != l.ID {
			t.Errorf("versions %+v, %v", versions, err)
		}
		if err := n.unlink(t, l); err != nil {
			t.Fatal(err)
		}
		_, err = n.file(t, "lib.djar", 0)
		absent(t, err)
		_, err = n.file(t, "lib.djar", 1)
		absent(t, err)
		same(t, "keys without the link", n.keys(t, job.Query{}), []string{"own.djar"})
		absent(t, n.unlink(t, l))
		if again := n.link(t, "lib.djar"); again.ID == l.ID {
			t.Error("a link came back with the id it had")
		}
	},
	"a number of a linked key is one of the source, whatever the entity had before": func(t *testing.T, n *tenant) {
		n.upload(t, "lib.djar")
		if err := n.DeleteFile(t.Context(), n.account.ID, job.EntityJobConfig, n.config.ID, "lib.djar"); err != nil {
			t.Fatal(err)
		}
		n.shared(t, "lib.djar", "aa")
		n.link(t, "lib.djar")
		if f, err := n.file(t, "lib.djar", 1); err != nil || f.SHA256 != "aa" {
			t.Errorf("got %+v, %v", f, err)
		}
	},
	"a key is linked once, or the entity's own": func(t *testing.T, n *tenant) {
		n.shared(t, "lib.djar", "aa")
		n.shared(t, "own.djar", "aa")
		n.upload(t, "own.djar")
		_, err := n.AddLink(t.Context(), n.newLink("own.djar"))
		refused(t, err, job.Conflict, job.WordDuplicateName)
		n.link(t, "lib.djar")
		_, err = n.AddLink(t.Context(), n.newLink("lib.djar"))
		refused(t, err, job.Conflict, job.WordLinkExists)
		_, err = n.AddFile(t.Context(), n.newFile("lib.djar"))
		refused(t, err, job.Conflict, job.WordLinkExists)
		refused(t, n.DeleteFile(t.Context(), n.account.ID, job.EntityJobConfig, n.config.ID, "lib.djar"), job.Conflict, job.WordLinkExists)
	},
	"an upload and a link of one key at once make one of them": func(t *testing.T, n *tenant) {
		n.shared(t, "race.djar", "aa")
		errs := atOnce(8, func(i int) error {
			if i%2 == 0 {
				_, err := n.AddFile(t.Context(), n.newFile("race.djar"))
				return err
			}
			_, err := n.AddLink(t.Context(), n.newLink("race.djar"))
			return err
		})
		uploads, links := 0, 0
		for i, err := range errs {
			switch {
			case err == nil && i%2 == 0:
				uploads++
			case err == nil:
				links++
			case job.CodeOf(err) != job.Conflict:
				t.Errorf("%d: %v", i, err)
			}
		}
		if (uploads == 0) != (links == 1) {
			t.Errorf("%d uploads and %d links went through", uploads, links)
		}
		same(t, "keys", n.keys(t, job.Query{}), []string{"race.djar"})
	},
	"what is linked is not deleted": func(t *testing.T, n *tenant) {
		n.shared(t, "lib.djar", "aa")
		l := n.link(t, "lib.djar")
		del := func() error {
			return n.DeleteFile(t.Context(), n.account.ID, job.EntityAccount, n.account.ID, "lib.djar")
		}
		err := del()
		refused(t, err, job.Conflict, job.WordLinkExists)
		if _, err := n.file(t, "lib.djar", 0); err != nil {
			t.Errorf("after the refused delete: %v", err)
		}
		if err := n.unlink(t, l); err != nil {
			t.Fatal(err)
		}
		if err := del(); err != nil {
			t.Errorf("without the link: %v", err)
		}
		_, err = n.AddLink(t.Context(), n.newLink("lib.djar"))
		absent(t, err)
	},
	"a config whose file another one links to is not deleted without it": func(t *testing.T, n *tenant) {
		n.upload(t, "lib.djar")
		user := n.create(t, "user of the lib")
		l := n.newLink("lib.djar")
		l.EntityID, l.SourceType, l.SourceID = user.ID, job.EntityJobConfig, n.config.ID
		if _, err := n.AddLink(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		refused(t, n.DeleteConfigs(t.Context(), n.scope(), []int64{n.config.ID}), job.Conflict, job.WordLinkExists)
		if _, err := n.Config(t.Context(), n.account.ID, n.config.ID); err != nil {
			t.Errorf("after the refused delete: %v", err)
		}
		if err := n.DeleteConfigs(t.Context(), n.scope(), []int64{n.config.ID, user.ID}); err != nil {
			t.Errorf("both: %v", err)
		}
	},
	"links stay within their account": func(t *testing.T, n *tenant) {
		n.shared(t, "lib.djar", "aa")
		b := n.other(t)
		l := b.newLink("lib.djar")
		l.SourceID = n.account.ID
		_, err := b.AddLink(t.Context(), l)
		absent(t, err)
		l = b.newLink("lib.djar")
		l.EntityID = n.config.ID
		_, err = b.AddLink(t.Context(), l)
		absent(t, err)
		mine := n.link(t, "lib.djar")
		absent(t, b.DeleteLink(t.Context(), b.account.ID, mine.EntityType, mine.EntityID, mine.ID))
		absent(t, n.DeleteLink(t.Context(), n.account.ID, mine.EntityType, mine.EntityID+1, mine.ID))
	},
	"an entity has a hundred links at most": func(t *testing.T, n *tenant) {
		var keys []string
		for i := range 100 {
			key := "lib" + string(rune('a'+i/26)) + string(rune('a'+i%26))
			keys = append(keys, key)
			n.shared(t, key, "aa")
			n.link(t, key)
		}
		n.shared(t, "more", "aa")
		_, err := n.AddLink(t.Context(), n.newLink("more"))
		refused(t, err, job.Invalid, job.WordInvalidField)
		var walked []string
		q := job.Query{Size: 30, Keyset: true}
		for more := true; more && len(walked) <= 100; {
			page := n.files(t, q)
			for _, f := range page.Items {
				walked = append(walked, f.Key)
			}
			q.After, more = page.Next, page.More
		}
		slices.Sort(keys)
		same(t, "walked", walked, keys)
	},
	"a job keeps the versions of the files it gets": func(t *testing.T, n *tenant) {
		inputs := []job.InputFile{
			{Name: "a.csv", Version: 2, SHA256: "aa", Size: 3, SourceType: job.EntityJobConfig, SourceID: n.config.ID},
			{Name: "dir/b.csv", Version: 1, SHA256: "bb", Size: 0, SourceType: job.EntityAccount, SourceID: n.account.ID},
		}
		j := n.submit(t, func(j *job.Job) { j.Spec.Inputs = inputs })
		same(t, "as it was stored", j.Spec.Inputs, inputs)
		read, err := n.Job(t.Context(), n.account.ID, j.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "as it is read", read.Spec.Inputs, inputs)
		taken, _, err := n.Begin(t.Context(), n.account.ID, j.ID, 1, "w", at(1))
		if err != nil {
			t.Fatal(err)
		}
		same(t, "as a worker takes it", taken.Spec.Inputs, inputs)
		list, _, err := n.Jobs(t.Context(), job.Query{Scope: n.scope()})
		if err != nil || len(list.Items) != 1 || list.Items[0].Spec.Inputs != nil {
			t.Errorf("in a list: %+v, %v", list.Items, err)
		}
	},
}
