package app

import (
	"waybill/internal/control"
	"waybill/internal/password"
)

// newPeople is what people can do with users.
func (p *parts) newPeople(sessions *control.Sessions, hasher *password.Hasher) *control.People {
	return &control.People{
		Users: p.store, Store: p.store, Directory: p.store, History: p.store, Jobs: p.store, Configs: p.store, Sessions: sessions, Hasher: hasher, Now: p.now,
	}
}
