package sqlstore

import (
	"testing"

	"waybill/internal/job"
)

// In a rolling upgrade the newer program migrates first, and processes of the older one go on, and are started.
func TestANewerSchemaIsAccepted(t *testing.T) {
	t.Parallel()
	eachEmptyEngine(t, func(t *testing.T, s *Store) {
		if err := s.CheckSchema(t.Context()); job.CodeOf(err) != job.Unavailable {
			t.Errorf("a database without tables: %v", err)
		}
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		const newer = 90_001
		if _, err := run(s.write.WithContext(t.Context()), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (?, ?)", newer, true); err != nil {
			t.Fatal(err)
		}
		if err := s.CheckSchema(t.Context()); err != nil {
			t.Errorf("a process that starts: %v", err)
		}
		if done, err := s.MigrateUp(t.Context()); err != nil || len(done) != 0 {
			t.Errorf("an older program migrates: %v, %v", done, err)
		}
		list, err := s.Schema(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if last := list[len(list)-1]; last.Version != newer || last.Name != "" || last.Applied.IsZero() {
			t.Errorf("the newer step shows as %+v", last)
		}
		before := len(s.tables(t))
		if _, err := s.MigrateDown(t.Context(), 3); job.CodeOf(err) != job.Conflict {
			t.Errorf("undoing what is not known: %v", err)
		}
		if after := len(s.tables(t)); after != before {
			t.Errorf("%d columns before, %d after", before, after)
		}
	})
}
