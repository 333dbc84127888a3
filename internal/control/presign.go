package control

import "context"

// Presigner makes addresses by which clients without keys read objects from the object store themselves.
type Presigner interface {
	// Presign makes one that is valid for some minutes. The store will send the object under the file name and media type.
	// Whether the client may have it, the caller has found out.
	Presign(ctx context.Context, key, filename, contentType string) (string, error)
}
