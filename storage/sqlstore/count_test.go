package sqlstore

import (
	"strconv"
	"strings"
	"testing"

	"waybill/internal/job"
)

func TestTotalsAreCountedUpToTheLimitOnly(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, s *Store) {
		c := inhabited(t, s)
		// Copies of the config that is there, under other names and object ids.
		columns := strings.Replace(configColumns, "id, object_id", "object_id", 1)
		copied := strings.NewReplacer("object_id", "object_id || n", "name_key", "name_key || n").Replace(columns)
		copies := func(from, to int) {
			t.Helper()
			_, err := run(s.write.WithContext(t.Context()), `INSERT INTO job_configs (`+columns+`)
				WITH RECURSIVE numbers (n) AS (SELECT `+strconv.Itoa(from)+` UNION ALL SELECT n + 1 FROM numbers WHERE n < `+strconv.Itoa(to)+`)
				SELECT `+copied+` FROM job_configs, numbers WHERE id = ?`, c.ID)
			if err != nil {
				t.Fatal(err)
			}
		}
		page := func(offset int) job.List[job.Config] {
			t.Helper()
			list, err := s.Configs(t.Context(), job.Query{Scope: job.Scope{AccountID: c.AccountID}, Size: 2, Offset: offset})
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		copies(1, job.CountLimit-1)
		if l := page(0); l.Total != job.CountLimit || l.Capped || l.NotCounted || !l.More {
			t.Errorf("at the limit: %d, capped %v, not counted %v", l.Total, l.Capped, l.NotCounted)
		}
		copies(job.CountLimit, job.CountLimit+4)
		if l := page(0); l.Total != job.CountLimit || !l.Capped || l.NotCounted {
			t.Errorf("beyond the limit: %d, capped %v, not counted %v", l.Total, l.Capped, l.NotCounted)
		}
		if l := page(job.CountLimit - 1); l.Total != job.CountLimit || !l.Capped || l.NotCounted {
			t.Errorf("last counted page: %d, capped %v, not counted %v", l.Total, l.Capped, l.NotCounted)
		}
		if l := page(job.CountLimit); l.Total != 0 || l.Capped || !l.NotCounted || len(l.Items) != 2 || !l.More {
			t.Errorf("page beyond: %d, capped %v, not counted %v, %d items", l.Total, l.Capped, l.NotCounted, len(l.Items))
		}
	})
}
