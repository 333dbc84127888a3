package sqlstore

import (
	"testing"

	"waybill/internal/job"
)

// Nobody changes an entry, whatever they may write to the database.
func TestTheAuditLogIsNotChanged(t *testing.T) {
	eachEngine(t, func(t *testing.T, s *Store) {
		inhabited(t, s)
		if err := s.AddAudit(t.Context(), []job.AuditEntry{{AccountID: 1, Action: "x", Result: job.AuditOK}}); err != nil {
			t.Fatal(err)
		}
		if _, err := run(s.write.WithContext(t.Context()), "UPDATE audit_log SET result = 'denied'"); err == nil {
			t.Error("an entry was changed")
		}
		list, err := s.Audit(t.Context(), job.Query{}, true)
		if err != nil || len(list.Items) != 1 || list.Items[0].Result != job.AuditOK {
			t.Errorf("%+v %v", list.Items, err)
		}
	})
}
