package storagetest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"waybill/internal/job"
)

func compare(property string, op job.Op, values ...any) job.Compare {
	return job.Compare{Property: property, Op: op, Values: values}
}

// names lists the configs of a query by name.
func (n *tenant) names(t *testing.T, q job.Query) []string {
	t.Helper()
	q.Scope = n.scope()
	if q.Size == 0 {
		q.Size = 100
	}
	list, err := n.Configs(t.Context(), q)
	if err != nil {
		t.Fatalf("Configs(%+v): %v", q.Where, err)
	}
	var names []string
	for _, c := range list.Items {
		names = append(names, c.Name)
	}
	return names
}

// runs lists the jobs of a query by run number.
func (n *tenant) runs(t *testing.T, q job.Query) []int64 {
	t.Helper()
	q.Scope = n.scope()
	if q.Size == 0 {
		q.Size = 100
	}
	list, _, err := n.Jobs(t.Context(), q)
	if err != nil {
		t.Fatalf("Jobs(%+v): %v", q.Where, err)
	}
	var runs []int64
	for _, j := range list.Items {
		runs = append(runs, j.RunNumber)
	}
	return runs
}

// zoo fills the account with configs that differ in everything; "sample config" is there too. Alpha has a destination of
// its own, which is returned.
func (n *tenant) zoo(t *testing.T) job.Destination {
	t.Helper()
	own := n.destination(t, "of Alpha")
	for i, c := range []job.Config{
		{Name: "Änderung", Description: "100% sure_", Tags: []string{"nightly", "Große"}, Timeout: 5 * time.Minute},
		{Name: "beta", Description: "Straße NACH Köln", Tags: []string{"night"}, Runtime: job.RuntimeConfig{PackageName: "B.djar"}},
		{Name: "Alpha", Active: true, Destination: own.ID, Runtime: job.RuntimeConfig{EntryPoint: "Main.process"}},
		{Name: "gamma_1", Description: "a back\\slash", Active: true, Tags: []string{"nightly"}, Owner: job.UserRef{ID: 900, Name: "Öz"}},
	} {
		c.AccountID, c.ObjectID = n.account.ID, string(newID())
		c.CreatedAt, c.ModifiedAt = at(i), at(10-i).Add(700*time.Millisecond)
		if _, err := n.CreateConfig(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	return own
}

var listCases = map[string]func(*testing.T, *tenant){
	"configs list by name without regard to case": func(t *testing.T, n *tenant) {
		n.zoo(t)
		want := []string{"Alpha", "beta", "gamma_1", "sample config", "Änderung"}
		same(t, "default", n.names(t, job.Query{}), want)
		slices.Reverse(want)
		same(t, "descending", n.names(t, job.Query{Sort: []job.Sort{{Property: "name", Desc: true}}}), want)
	},
	"every operator answers alike on every engine": func(t *testing.T, n *tenant) {
		own := n.zoo(t)
		for _, c := range []struct {
			where job.Expr
			want  string // names, sorted as the list is
		}{
			{nil, "Alpha beta gamma_1 sample config Änderung"},
			{job.And{}, "Alpha beta gamma_1 sample config Änderung"},
			{job.Or{}, ""},
			{compare("name", job.Eq, "Alpha"), "Alpha"},
			{compare("name", job.Eq, "alpha"), ""},
			{compare("name", job.Ne, "Alpha"), "beta gamma_1 sample config Änderung"},
			{compare("name", job.In, "Alpha", "beta", "none"), "Alpha beta"},
			{compare("name", job.In), ""},
			{compare("name", job.NotIn, "Alpha", "beta"), "gamma_1 sample config Änderung"},
			{compare("name", job.NotIn), "Alpha beta gamma_1 sample config Änderung"},
			{compare("name", job.Like, "ALPH"), "Alpha"},
			{compare("name", job.Like, "äNDER"), "Änderung"},
			{compare("name", job.Like, "%"), ""},
			{compare("name", job.Like, "_"), "gamma_1"},
			{compare("name", job.Like, ""), "Alpha beta gamma_1 sample config Änderung"},
			{compare("description", job.Like, "100%"), "Änderung"},
			{compare("description", job.Like, "0_"), ""},
			{compare("description", job.Like, "k\\s"), "gamma_1"},
			{compare("description", job.Like, "STRAßE nach kÖ"), "beta"},
			{compare("description", job.NotLike, "a"), "Alpha sample config Änderung"},
			{compare("description", job.Null), "Alpha sample config"},
			{compare("description", job.NotNull), "beta gamma_1 Änderung"},
			{compare("name", job.Gte, "gamma_1"), "gamma_1 sample config Änderung"},
			{compare("name", job.Lt, "BETA"), "Alpha"},
			{compare("tags", job.Eq, "nightly"), "gamma_1 Änderung"},
			{compare("tags", job.Ne, "nightly"), "Alpha beta sample config"},
			{compare("tags", job.In, "night", "Große"), "beta Änderung"},
			{compare("tags", job.Like, "GROß"), "Änderung"},
			{compare("tags", job.Like, "night"), "beta gamma_1 Änderung"},
			{compare("tags", job.NotLike, "ly"), "Alpha beta sample config"},
			{compare("tags", job.Null), "Alpha sample config"},
			{compare("tags", job.NotNull), "beta gamma_1 Änderung"},
			{compare("active", job.Eq, "true"), "Alpha gamma_1 sample config"},
			{compare("active", job.Ne, true), "beta Änderung"},
			{compare("timeout", job.Eq, "5"), "Änderung"},
			{compare("timeout", job.Gt, int64(4)), "Änderung"},
			{compare("timeout", job.Lt, "9"), "Änderung"},
			{compare("timeout", job.Null), "Alpha beta gamma_1 sample config"},
			{compare("destination.id", job.Eq, strconv.FormatInt(own.ID, 10)), "Alpha"},
			{compare("destination.id", job.Null), "beta gamma_1 Änderung"},
			{compare("user.name", job.Eq, "Öz"), "gamma_1"},
			{compare("user.name", job.Like, "ö"), "gamma_1"},
			{compare("user.id", job.In, "900", int64(901)), "gamma_1"},
			{compare("runtimeConfig.packageName", job.Like, "b.d"), "beta"},
			{compare("runtimeConfig.entryPoint", job.Eq, "Main.process"), "Alpha"},
			{compare("lastModified", job.Eq, at(10).Add(700*time.Millisecond)), "Änderung"},
			{compare("lastModified", job.Eq, at(10)), ""},
			// A date without a fraction means the whole second: 9:41:08 holds 9:41:08.823.
			{compare("lastModified", job.Eq, "Mar 17, 2026 9:41:08 AM"), "Alpha"},
			{compare("lastModified", job.Ne, "2026-03-17T09:41:08Z"), "beta gamma_1 sample config Änderung"},
			{compare("lastModified", job.Lte, "2026-03-17T09:41:08Z"), "Alpha gamma_1 sample config"},
			{compare("lastModified", job.Lt, "2026-03-17T11:41:08+02:00"), "gamma_1 sample config"},
			{compare("lastModified", job.Gt, fmt.Sprint(at(8).Unix())), "beta Änderung"},
			{compare("lastModified", job.Gte, fmt.Sprint(at(8).Unix())), "Alpha beta Änderung"},
			{compare("lastModified", job.In, "Mar 17, 2026 9:41:08 AM", "Mar 17, 2026 9:41:07 AM"), "Alpha gamma_1"},
			{compare("created", job.Eq, fmt.Sprint(at(2).UnixMilli())), "Alpha"},
			{job.And{compare("active", job.Eq, "true"), compare("name", job.Like, "a")}, "Alpha gamma_1 sample config"},
			{job.Or{compare("name", job.Eq, "beta"), job.And{compare("active", job.Eq, "true"), compare("tags", job.Null)}}, "Alpha beta sample config"},
		} {
			if got := strings.Join(n.names(t, job.Query{Where: c.where}), " "); got != c.want {
				t.Errorf("%+v = %q, want %q", c.where, got, c.want)
			}
		}
	},
	"what a filter can not mean is refused by name": func(t *testing.T, n *tenant) {
		for _, c := range []struct {
			where job.Compare
			word  job.Word
			says  string
		}{
			{compare("colour", job.Eq, "red"), job.WordUnknownProperty, "Unknown property 'colour'"},
			{compare("id); DROP TABLE jobs", job.Eq, "1"), job.WordUnknownProperty, "Unknown property 'id); DROP TABLE jobs'"},
			{compare("active", job.Eq, "maybe"), job.WordInvalidField, "active must be true or false"},
			{compare("timeout", job.Eq, "soon"), job.WordInvalidField, "timeout must be a whole number"},
			{compare("id", job.Eq, "1 OR 1=1"), job.WordInvalidField, "id must be a whole number"},
			{compare("active", job.Like, "t"), job.WordInvalidField, "Operator like does not go with active"},
			{compare("tags", job.Lt, "t"), job.WordInvalidField, "Operator lt does not go with tags"},
			{compare("name", job.Eq), job.WordInvalidField, "Operator eq on name takes 1 value(s)"},
			{compare("name", job.Null, "x"), job.WordInvalidField, "Operator null on name takes 0 value(s)"},
			{compare("name", "==", "x"), job.WordInvalidField, "Unknown operator '=='"},
			{compare("name", job.Eq, "nul\x00"), job.WordInvalidField, "name holds a character that can not be stored"},
		} {
			_, err := n.Configs(t.Context(), job.Query{Scope: n.scope(), Where: c.where, Size: 1})
			refused(t, err, job.Invalid, c.word)
			says(t, err, c.says)
		}
		for _, date := range []string{"yesterday", "2026-03-17", "99999999999999999999", "Mar 17, 2026", "9223372036854775807"} {
			_, err := n.Configs(t.Context(), job.Query{Scope: n.scope(), Where: compare("created", job.Lt, date), Size: 1})
			refused(t, err, job.Invalid, job.WordInvalidField)
		}
		_, _, err := n.Jobs(t.Context(), job.Query{Scope: n.scope(), Where: compare("status", job.Eq, "FINISHED"), Size: 1})
		refused(t, err, job.Invalid, job.WordInvalidField)
		for _, property := range []string{"colour", "tags"} {
			_, _, err = n.Jobs(t.Context(), job.Query{Scope: n.scope(), Sort: []job.Sort{{Property: property}}, Size: 1})
			if job.CodeOf(err) != job.Invalid {
				t.Errorf("sorting by %s: %v, want it refused", property, err)
			}
		}
	},
	"a filter of any size is answered or refused": func(t *testing.T, n *tenant) {
		var wide job.Or
		var deep job.Expr = compare("name", job.Eq, "sample config")
		for i := range 10_000 {
			wide = append(wide, compare("name", job.Eq, fmt.Sprint(i)))
			deep = job.And{deep}
		}
		for _, where := range []job.Expr{wide, deep} {
			_, err := n.Configs(t.Context(), job.Query{Scope: n.scope(), Where: where, Size: 1})
			refused(t, err, job.Invalid, job.WordInvalidField)
		}
		same(t, "450 comparisons", len(n.names(t, job.Query{Where: job.And{wide[:449], compare("active", job.Eq, true)}})), 0)
		values := make([]any, 4000)
		for i := range values {
			values[i] = fmt.Sprint(i)
		}
		same(t, "4000 values", len(n.names(t, job.Query{Where: compare("name", job.NotIn, values...)})), 1)
	},
	"every property of configs and jobs can be filtered and sorted by": func(t *testing.T, n *tenant) {
		n.submit(t)
		for _, p := range strings.Fields(`id objectId name description active created lastModified createdByUser.id
			createdByUser.name lastModifiedByUser.name user.id user.name tags runtimeConfig.packageName
			runtimeConfig.entryPoint timeout destination.id`) {
			list, err := n.Configs(t.Context(), job.Query{
				Scope: n.scope(), Where: job.Or{compare(p, job.NotNull), compare(p, job.Null)}, Sort: sorts(p), Size: 10,
			})
			if err != nil || len(list.Items) != 1 {
				t.Errorf("configs by %s = %d, %v, want 1", p, len(list.Items), err)
			}
		}
		for _, p := range strings.Fields(`id status reason taken scheduled started finished startAfter packageName
			entryPoint returnCode runNumber attempt tags retryOf rootJob worker jobConfig.id jobConfig.name
			submittedByUser.id submittedByUser.name stoppedByUser.id stoppedByUser.name destination.id`) {
			list, _, err := n.Jobs(t.Context(), job.Query{
				Scope: n.scope(), Where: job.Or{compare(p, job.NotNull), compare(p, job.Null)}, Sort: sorts(p), Size: 10,
				Keyset: true,
			})
			if err != nil || len(list.Items) != 1 {
				t.Errorf("jobs by %s = %d, %v, want 1", p, len(list.Items), err)
			}
		}
	},
	"jobs list newest first, filtered by what became of them": func(t *testing.T, n *tenant) {
		n.ended(t, completed())                                                                 // 1
		n.ended(t, failed(), func(j *job.Job) { j.Tags = []string{"Nightly"} })                 // 2
		parent := n.ended(t, failed())                                                          // 3
		n.begun(t, retryOf(parent.ID))                                                          // 4
		n.submit(t, func(j *job.Job) { j.SubmittedBy = job.UserRef{ID: 900_001, Name: "Zoë"} }) // 5
		for _, c := range []struct {
			where job.Expr
			want  []int64
		}{
			{nil, []int64{5, 4, 3, 2, 1}},
			{compare("status", job.Eq, job.Failed), []int64{3, 2}},
			{compare("status", job.In, "queued", "running"), []int64{5, 4}},
			{compare("status", job.Ne, "failed"), []int64{5, 4, 1}},
			{job.And{compare("status", job.In, job.Queued, job.Running), compare("taken", job.Eq, "true")}, []int64{4}},
			{job.Or{compare("status", job.Eq, job.Queued), compare("status", job.Eq, job.Completed)}, []int64{5, 1}},
			{compare("reason", job.Eq, job.ReasonError), []int64{3, 2}},
			{compare("reason", job.Null), []int64{5, 1}},
			{compare("returnCode", job.Eq, "0"), []int64{1}},
			{compare("returnCode", job.Ne, "3"), []int64{5, 4, 1}},
			{compare("returnCode", job.Gt, "0"), []int64{3, 2}},
			{compare("returnCode", job.NotIn, "0", "3"), []int64{5, 4}},
			{compare("returnCode", job.Null), []int64{5, 4}},
			{compare("finished", job.NotNull), []int64{3, 2, 1}},
			{compare("finished", job.Lt, at(1000)), []int64{3, 2, 1}},
			{compare("finished", job.Ne, at(110)), []int64{5, 4}},
			{compare("retryOf", job.Eq, string(parent.ID)), []int64{4}},
			{compare("rootJob", job.NotNull), []int64{4}},
			{compare("tags", job.Like, "night"), []int64{2}},
			{compare("submittedByUser.name", job.Like, "ZOË"), []int64{5}},
			{compare("submittedByUser.id", job.Eq, "900001"), []int64{5}},
			{compare("worker", job.Like, "WORKER"), []int64{4, 3, 2, 1}},
			{compare("runNumber", job.Like, "3"), []int64{3}},
			{compare("scheduled", job.Lte, at(2)), []int64{2, 1}},
		} {
			same(t, fmt.Sprintf("%+v", c.where), n.runs(t, job.Query{Where: c.where}), c.want)
		}
		same(t, "absent first", n.runs(t, job.Query{Sort: sorts("returnCode", "-runNumber")}), []int64{5, 4, 1, 3, 2})
		same(t, "absent last", n.runs(t, job.Query{Sort: sorts("-returnCode", "runNumber")}), []int64{2, 3, 1, 4, 5})
	},
	"stats count all that the filter matches": func(t *testing.T, n *tenant) {
		n.submit(t)
		n.begun(t)
		stopping := n.begun(t)
		queued := n.submit(t)
		for _, id := range []job.ID{stopping.ID, queued.ID} { // cancelling; cancelled before a worker had it
			if _, err := n.Cancel(t.Context(), n.account.ID, id, n.admin.Ref(), at(105), 0); err != nil {
				t.Fatal(err)
			}
		}
		n.ended(t, completed())
		n.ended(t, completed())
		n.ended(t, failed())
		n.ended(t, job.Outcome{Status: job.Failed, Reason: job.ReasonTimeout, At: at(110)})
		n.ended(t, job.Outcome{Status: job.Cancelled, Reason: job.ReasonStopped, At: at(110)})
		q := job.Query{Scope: n.scope(), Size: 1, Stats: true}
		list, stats, err := n.Jobs(t.Context(), q)
		if err != nil || list.Total != 9 || len(list.Items) != 1 || !list.More {
			t.Fatalf("list = %d of %d, %v", len(list.Items), list.Total, err)
		}
		same(t, "stats", stats, job.JobStats{
			Queued: 1, Running: 2, Finished: 2, Error: 1, Failed: 2, Cancelled: 1, TotalDuration: 5 * 9 * time.Second,
		})
		q.Where = compare("status", job.Eq, job.Completed)
		_, stats, err = n.Jobs(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "stats of the completed", stats, job.JobStats{Finished: 2, TotalDuration: 18 * time.Second})
		b := n.other(t)
		_, stats, err = b.Jobs(t.Context(), job.Query{Scope: b.scope(), Stats: true})
		if err != nil || stats != (job.JobStats{}) {
			t.Errorf("stats of another account = %+v, %v, want none", stats, err)
		}
	},
	"a user's scope holds their own jobs only": func(t *testing.T, n *tenant) {
		n.submit(t)
		n.submit(t, func(j *job.Job) { j.OwnerID = 900 })
		list, stats, err := n.Jobs(t.Context(), job.Query{Scope: job.Scope{AccountID: n.account.ID, OwnerID: 900}, Stats: true})
		if err != nil || len(list.Items) != 1 || list.Total != 1 || stats.Queued != 1 || list.Items[0].RunNumber != 2 {
			t.Errorf("list = %+v, stats %+v, %v, want the second job", list, stats, err)
		}
	},
	"another account's tags, configs and jobs are in no list": func(t *testing.T, n *tenant) {
		n.submit(t, func(j *job.Job) { j.Tags = []string{"secret"} })
		b := n.other(t)
		for _, where := range []job.Expr{
			nil, compare("tags", job.Eq, "secret"), compare("jobConfig.id", job.Eq, n.config.ID),
			job.Or{compare("status", job.Eq, "queued"), compare("status", job.Eq, "running")},
		} {
			same(t, "jobs of the other account", len(b.runs(t, job.Query{Where: where})), 0)
		}
		same(t, "configs of the other account", b.names(t, job.Query{}), []string{"sample config"})
	},
	"pages by offset hold every job once": func(t *testing.T, n *tenant) {
		for range 7 {
			n.submit(t, func(j *job.Job) { j.ScheduledAt = at(1) }) // the id alone breaks the tie
		}
		var seen []int64
		for offset := 0; offset < 9; offset += 3 {
			list, _, err := n.Jobs(t.Context(), job.Query{Scope: n.scope(), Size: 3, Offset: offset})
			if err != nil || list.Total != 7 || list.Capped || list.NotCounted || list.More != (offset+3 < 7) {
				t.Fatalf("page at %d = %+v, %v", offset, list, err)
			}
			for _, j := range list.Items {
				seen = append(seen, j.RunNumber)
			}
		}
		slices.Sort(seen)
		same(t, "seen", seen, []int64{1, 2, 3, 4, 5, 6, 7})
	},
	"a page that begins beyond the counting limit is not counted": func(t *testing.T, n *tenant) {
		list, err := n.Configs(t.Context(), job.Query{Scope: n.scope(), Size: 3, Offset: job.CountLimit})
		if err != nil || !list.NotCounted || list.Total != 0 || len(list.Items) != 0 || list.More {
			t.Errorf("page = %+v, %v, want it empty and not counted", list, err)
		}
	},
	"keyset pages follow every order without gap or overlap": func(t *testing.T, n *tenant) {
		for i := range 11 {
			o := failed()
			o.ReturnCode = nil
			if i%3 > 0 {
				o.ReturnCode = exit(i % 3)
			}
			n.ended(t, o, func(j *job.Job) { j.Tags, j.Spec.EntryPoint = []string{"t"}, fmt.Sprintf("Point %d, \"ü\"", i%2) })
		}
		for _, order := range [][]job.Sort{
			nil, sorts("scheduled"), sorts("-scheduled"), sorts("returnCode"), sorts("-returnCode"),
			sorts("returnCode", "-runNumber"), sorts("-returnCode", "entryPoint", "-scheduled"), sorts("entryPoint"),
			sorts("-taken", "runNumber"), sorts("status"), sorts("id"), sorts("-id"), sorts("startAfter"),
		} {
			want := n.runs(t, job.Query{Sort: order, Where: compare("tags", job.Eq, "t")})
			same(t, "jobs", len(want), 11)
			var got []int64
			q := job.Query{Scope: n.scope(), Sort: order, Where: compare("tags", job.Eq, "t"), Size: 2, Keyset: true}
			for more := true; more; {
				page, _, err := n.Jobs(t.Context(), q)
				if err != nil || !page.NotCounted || page.More != (page.Next != nil) || len(got) > len(want) {
					t.Fatalf("page of %v = %+v, %v, after %v", order, page, err, got)
				}
				for _, j := range page.Items {
					got = append(got, j.RunNumber)
				}
				q.After, more = page.Next, page.More
			}
			same(t, fmt.Sprintf("walk by %v", order), got, want)
		}
	},
	"keyset pages skip and repeat nothing while rows are added": func(t *testing.T, n *tenant) {
		for range 20 {
			n.submit(t)
		}
		var got []int64
		q := job.Query{Scope: n.scope(), Size: 3, Keyset: true}
		for more := true; more; {
			page, _, err := n.Jobs(t.Context(), q)
			if err != nil || len(got) > 20 {
				t.Fatalf("after %v: %v", got, err)
			}
			for _, j := range page.Items {
				got = append(got, j.RunNumber)
			}
			q.After, more = page.Next, page.More
			n.submit(t) // newer than all, so it belongs before the first page
		}
		var want []int64
		for run := int64(20); run > 0; run-- {
			want = append(want, run)
		}
		same(t, "walk", got, want)
	},
	"a cursor of another list is refused": func(t *testing.T, n *tenant) {
		for _, after := range [][]string{{"x"}, {"x", "y"}, {"1", "2", "3"}, {"1.5", "2"}, {"", ""}, {"1", "nul\x00"}} {
			_, _, err := n.Jobs(t.Context(), job.Query{Scope: n.scope(), Size: 1, Keyset: true, After: after})
			refused(t, err, job.Invalid, job.WordInvalidCursor)
		}
	},
	"lists leave out macros and files of the spec": func(t *testing.T, n *tenant) {
		n.submit(t, func(j *job.Job) {
			j.Spec.Macros, j.Spec.Files = []job.Macro{{Key: "A", Value: "1"}}, map[string]string{"f": "text"}
		})
		list, _, err := n.Jobs(t.Context(), job.Query{Scope: n.scope(), Size: 1})
		if err != nil || len(list.Items) != 1 {
			t.Fatalf("list = %+v, %v", list, err)
		}
		spec := list.Items[0].Spec
		if spec.Macros != nil || spec.Files != nil || spec.PackageName == "" || spec.EntryPoint == "" {
			t.Errorf("spec = %+v, want the package without macros and files", spec)
		}
	},
}

// sorts reads an order: "-" in front of a property means descending.
func sorts(properties ...string) []job.Sort {
	var order []job.Sort
	for _, p := range properties {
		if p == "tags" {
			continue // filtered by, not sorted by
		}
		name, desc := strings.CutPrefix(p, "-")
		order = append(order, job.Sort{Property: name, Desc: desc})
	}
	return order
}
