package storagetest

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"waybill/internal/job"
)

func asError(err error, to **job.Error) bool { return errors.As(err, to) }

// same compares values of the domain member by member.
func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	if _, isTime := any(got).(time.Time); g.Kind() == reflect.Struct && !isTime {
		for i := range g.NumField() {
			if !reflect.DeepEqual(g.Field(i).Interface(), w.Field(i).Interface()) {
				t.Errorf("%s: %s = %+v, want %+v", what, g.Type().Field(i).Name, g.Field(i).Interface(), w.Field(i).Interface())
			}
		}
		return
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s = %+v, want %+v", what, got, want)
	}
}

// atOnce runs fn n times, all at the same moment, and returns the errors in order of i.
func atOnce(n int, fn func(i int) error) []error {
	var wait sync.WaitGroup
	errs, gun := make([]error, n), make(chan struct{})
	for i := range n {
		wait.Go(func() {
			<-gun
			errs[i] = fn(i)
		})
	}
	close(gun)
	wait.Wait()
	return errs
}

var configCases = map[string]func(*testing.T, *tenant){
	"a config comes back as it was stored": func(t *testing.T, n *tenant) {
		c := n.newConfig("Übung \"1\"")
		c.Description, c.Tags = "läuft täglich; 100%_sicher", []string{"nightly", "ÄÖ", "a,b|c"}
		c.Timeout, c.OnLoss, c.Active = 90*time.Minute, job.Fail, false
		c.Retry = job.RetryPolicy{MaximumAttempts: 3, InitialInterval: time.Second, BackoffCoefficient: 1.5, NonRetryable: []int{2, 7}}
		c.Labels = job.Labels{AgentID: "agent", TaskType: "MTT"}
		c.Runtime = job.RuntimeConfig{
			PackageName: "Sample.djar", PackageVersion: 2, EntryPoint: "integrateXYZ.process",
			Macros: []job.Macro{{Key: "TARGET", Value: "/data"}, {Key: "PASSWORD", Sealed: "c2VhbGVk", Secure: true}},
		}
		c.ModifiedBy = job.UserRef{ID: 7, Name: "Zoë"}
		stored, err := n.CreateConfig(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		c.ID = stored.ID
		same(t, "created", stored, c)
		read, err := n.Config(t.Context(), n.account.ID, stored.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "read", read, c)
		byObject, err := n.ConfigByObjectID(t.Context(), n.account.ID, c.ObjectID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "read by object id", byObject, c)
	},
	"an absent config is not found": func(t *testing.T, n *tenant) {
		_, err := n.Config(t.Context(), n.account.ID, 999_999)
		absent(t, err)
		says(t, err, "Job config 999999 not found")
		for _, id := range []string{"69b9207100000000000000a4", "nul\x00", "\xff"} {
			_, err = n.ConfigByObjectID(t.Context(), n.account.ID, id)
			absent(t, err)
		}
	},
	"another account's config is not found and not changed": func(t *testing.T, n *tenant) {
		b := n.other(t)
		_, err := b.Config(t.Context(), b.account.ID, n.config.ID)
		absent(t, err)
		_, err = b.ConfigByObjectID(t.Context(), b.account.ID, n.config.ObjectID)
		absent(t, err)
		stolen := n.config
		stolen.AccountID, stolen.Name = b.account.ID, "stolen"
		absent(t, b.UpdateConfig(t.Context(), stolen, n.config.ModifiedAt))
		absent(t, b.SetConfigsActive(t.Context(), b.scope(), []int64{n.config.ID}, false, b.admin.Ref(), at(1)))
		absent(t, b.DeleteConfigs(t.Context(), b.scope(), []int64{n.config.ID}))
		read, err := n.Config(t.Context(), n.account.ID, n.config.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "config", read, n.config)
	},
	"a name is taken in any letter case": func(t *testing.T, n *tenant) {
		n.create(t, "Größe ÄÖÜ Ж")
		_, err := n.CreateConfig(t.Context(), n.newConfig("GRÖßE äöü ж"))
		refused(t, err, job.Conflict, job.WordDuplicateName)
		_, err = n.CreateConfig(t.Context(), n.newConfig("Sample Config"))
		refused(t, err, job.Conflict, job.WordDuplicateName)
		says(t, err, "A job config named 'Sample Config' already exists")
	},
	"a name is free in another account": func(t *testing.T, n *tenant) {
		n.create(t, "twice")
		n.other(t).create(t, "twice")
	},
	"a taken object id is refused": func(t *testing.T, n *tenant) {
		c := n.newConfig("another name")
		c.ObjectID = n.config.ObjectID
		_, err := n.CreateConfig(t.Context(), c)
		refused(t, err, job.Conflict, job.WordDuplicateName)
		says(t, err, fmt.Sprintf("A job config with objectId '%s' already exists", c.ObjectID))
	},
	"of ten configs of one name created at once one is made": func(t *testing.T, n *tenant) {
		made := 0
		for _, err := range atOnce(10, func(int) error {
			_, err := n.CreateConfig(t.Context(), n.newConfig("race"))
			return err
		}) {
			if err == nil {
				made++
				continue
			}
			refused(t, err, job.Conflict, job.WordDuplicateName)
		}
		same(t, "made", made, 1)
	},
	"text that PostgreSQL can not hold is refused by both": func(t *testing.T, n *tenant) {
		for _, bad := range []string{"nul\x00", "half \xc3"} {
			_, err := n.CreateConfig(t.Context(), n.newConfig(bad))
			refused(t, err, job.Invalid, job.WordInvalidField)
		}
	},
	"an update changes all but what never changes": func(t *testing.T, n *tenant) {
		c := n.config
		c.Name, c.Description, c.Tags, c.Active = "Renamed", "new", []string{"x", "y"}, false
		c.Runtime, c.Timeout, c.OnLoss = job.RuntimeConfig{PackageName: "p.zip"}, time.Hour, job.Fail
		c.ModifiedAt, c.ModifiedBy = at(5), job.UserRef{ID: 9, Name: "nine"}
		want := c
		c.ObjectID, c.CreatedAt, c.CreatedBy, c.Owner = "changed", at(9), job.UserRef{ID: 8}, job.UserRef{ID: 8}
		if err := n.UpdateConfig(t.Context(), c, n.config.ModifiedAt); err != nil {
			t.Fatal(err)
		}
		read, err := n.Config(t.Context(), n.account.ID, c.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "updated", read, want)
		found, err := n.Configs(t.Context(), job.Query{Scope: n.scope(), Where: compare("tags", job.Eq, "x"), Size: 10})
		if err != nil || len(found.Items) != 1 {
			t.Errorf("configs with the new tag = %d, %v, want 1", len(found.Items), err)
		}
	},
	"an update that keeps the name in another letter case is made": func(t *testing.T, n *tenant) {
		c := n.config
		c.Name, c.ModifiedAt = "SAMPLE config", at(1)
		if err := n.UpdateConfig(t.Context(), c, n.config.ModifiedAt); err != nil {
			t.Error(err)
		}
	},
	"an update to a taken name is refused": func(t *testing.T, n *tenant) {
		c := n.create(t, "second")
		c.Name = "Sample CONFIG"
		err := n.UpdateConfig(t.Context(), c, c.ModifiedAt)
		refused(t, err, job.Conflict, job.WordDuplicateName)
		says(t, err, "A job config named 'Sample CONFIG' already exists")
	},
	"of ten updates from one reading one is made": func(t *testing.T, n *tenant) {
		made := 0
		for _, err := range atOnce(10, func(i int) error {
			c := n.config
			c.Description = fmt.Sprint(i)
			return n.UpdateConfig(t.Context(), c, n.config.ModifiedAt) // the time does not even move
		}) {
			if err == nil {
				made++
				continue
			}
			refused(t, err, job.Conflict, job.WordStale)
		}
		same(t, "made", made, 1)
	},
	"an update of an absent config is not found": func(t *testing.T, n *tenant) {
		c := n.config
		c.ID = 999_999
		absent(t, n.UpdateConfig(t.Context(), c, c.ModifiedAt))
	},
	"configs are switched all or none": func(t *testing.T, n *tenant) {
		b := n.create(t, "b")
		by := job.UserRef{ID: 3, Name: "three"}
		err := n.SetConfigsActive(t.Context(), n.scope(), []int64{n.config.ID, 999_999}, false, by, at(1))
		absent(t, err)
		says(t, err, "Job config 999999 not found")
		if c, _ := n.Config(t.Context(), n.account.ID, n.config.ID); !c.Active {
			t.Error("a config was switched off although another one is absent")
		}
		if err := n.SetConfigsActive(t.Context(), n.scope(), []int64{b.ID, n.config.ID, b.ID}, false, by, at(1)); err != nil {
			t.Fatal(err)
		}
		for _, id := range []int64{b.ID, n.config.ID} {
			c, err := n.Config(t.Context(), n.account.ID, id)
			if err != nil || c.Active || c.ModifiedBy != by || !c.ModifiedAt.Equal(at(1)) {
				t.Errorf("config = %+v, %v, want switched off by %v", c, err, by)
			}
		}
	},
	"a config of another owner is outside a user's scope": func(t *testing.T, n *tenant) {
		scope := job.Scope{AccountID: n.account.ID, OwnerID: n.admin.ID + 1000}
		absent(t, n.SetConfigsActive(t.Context(), scope, []int64{n.config.ID}, false, n.admin.Ref(), at(1)))
		absent(t, n.DeleteConfigs(t.Context(), scope, []int64{n.config.ID}))
		found, err := n.Configs(t.Context(), job.Query{Scope: scope, Size: 10})
		if err != nil || len(found.Items) != 0 || found.Total != 0 {
			t.Errorf("list = %d of %d, %v, want none", len(found.Items), found.Total, err)
		}
	},
	"a brief list leaves out what may be large": func(t *testing.T, n *tenant) {
		want := n.config
		want.Runtime.PackageName, want.Labels.TaskType = "a.djar", "MTT"
		want.Runtime.Macros = []job.Macro{{Key: "A", Value: "large"}}
		want.Rules.Blocking = true
		if err := n.UpdateConfig(t.Context(), want, n.config.ModifiedAt); err != nil {
			t.Fatal(err)
		}
		found, err := n.Configs(t.Context(), job.Query{Scope: n.scope(), Size: 10, Brief: true})
		if err != nil || len(found.Items) != 1 {
			t.Fatalf("%d configs, %v", len(found.Items), err)
		}
		if want, err = n.Config(t.Context(), n.account.ID, n.config.ID); err != nil || len(want.Runtime.Macros) != 1 || !want.Rules.Blocking {
			t.Fatalf("%+v, %v", want, err)
		}
		want.Runtime, want.Rules = job.RuntimeConfig{}, job.Rules{}
		same(t, "config", found.Items[0], want)
	},
	"configs are deleted all or none, jobs and versions stay": func(t *testing.T, n *tenant) {
		file := n.upload(t, "a.djar")
		j := n.submit(t)
		absent(t, n.DeleteConfigs(t.Context(), n.scope(), []int64{n.config.ID, 999_999}))
		if _, err := n.Config(t.Context(), n.account.ID, n.config.ID); err != nil {
			t.Errorf("a config was deleted although another one is absent: %v", err)
		}
		if err := n.DeleteConfigs(t.Context(), n.scope(), []int64{n.config.ID}); err != nil {
			t.Fatal(err)
		}
		_, err := n.Config(t.Context(), n.account.ID, n.config.ID)
		absent(t, err)
		same(t, "job", n.now(t, j.ID).ConfigName, "sample config")
		_, err = n.File(t.Context(), n.account.ID, job.EntityJobConfig, n.config.ID, "a.djar", 0)
		absent(t, err)
		kept, err := n.File(t.Context(), n.account.ID, job.EntityJobConfig, n.config.ID, "a.djar", file.Version)
		if err != nil || kept.SHA256 != file.SHA256 {
			t.Errorf("version = %+v, %v, want it kept", kept, err)
		}
		again := n.create(t, "sample config")
		if again.ID <= n.config.ID {
			t.Errorf("new id %d, want one never used: over %d", again.ID, n.config.ID)
		}
	},
}
