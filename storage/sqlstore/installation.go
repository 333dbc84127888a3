package sqlstore

import (
	"context"

	"gorm.io/gorm"
)

// KeepMark is control.Marks's.
func (s *Store) KeepMark(ctx context.Context, name, mark string) (stored string, err error) {
	if err := checkText("name", name, "mark", mark); err != nil {
		return "", err
	}
	err = s.transact(ctx, func(tx *gorm.DB) error {
		if _, err := run(tx, "INSERT INTO installation (name, mark) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", name, mark); err != nil {
			return err
		}
		stored, _, err = one[string](tx, "SELECT mark FROM installation WHERE name = ?", name)
		return err
	})
	return stored, err
}

// Mark is control.Marks's.
func (s *Store) Mark(ctx context.Context, name string) (string, error) {
	mark, _, err := one[string](s.read.WithContext(ctx), "SELECT mark FROM installation WHERE name = ?", name)
	return mark, s.fault(ctx, err)
}
