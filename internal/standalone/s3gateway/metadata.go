package s3gateway

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/versity/versitygw/backend/meta"
)

// metadata chooses where etags, content types and bucket settings are kept: in extended attributes of the object files,
// or, where the file system of root has none (tmpfs of old kernels, some network mounts), in files below sidecar. Once the
// sidecar folder exists it stays the choice, because that is where the metadata of the present objects lies.
func metadata(root, sidecar string) (meta.MetadataStorer, error) {
	if _, err := os.Stat(sidecar); errors.Is(err, os.ErrNotExist) && hasXattrs(root) {
		return meta.XattrMeta{}, nil
	}
	if err := os.MkdirAll(sidecar, 0o700); err != nil {
		return nil, fmt.Errorf("make the metadata folder: %w", err)
	}
	s, err := meta.NewSideCar(sidecar)
	if err != nil {
		return nil, fmt.Errorf("open the metadata folder: %w", err)
	}
	return relative{MetadataStorer: s, root: root}, nil
}

// hasXattrs tries it out: support differs per mount, so no table of file systems would do.
func hasXattrs(dir string) bool {
	f, err := os.CreateTemp(dir, ".xattr-*")
	if err != nil {
		return false
	}
	defer func() {
		_ = f.Close()
		_ = os.Remove(f.Name())
	}()
	return meta.XattrMeta{}.StoreAttribute(f, "", "", "probe", []byte("1")) == nil
}

// relative gives the sidecar bucket names, not the absolute paths that rooted gives posix: the metadata must still be
// found after the data folder moved.
type relative struct {
	meta.MetadataStorer
	root string
}

func (r relative) bucket(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, r.root), string(filepath.Separator))
}

func (r relative) RetrieveAttribute(f *os.File, bucket, object, attribute string) ([]byte, error) {
	return r.MetadataStorer.RetrieveAttribute(f, r.bucket(bucket), object, attribute)
}

func (r relative) StoreAttribute(f *os.File, bucket, object, attribute string, value []byte) error {
	return r.MetadataStorer.StoreAttribute(f, r.bucket(bucket), object, attribute, value)
}

func (r relative) DeleteAttribute(bucket, object, attribute string) error {
	return r.MetadataStorer.DeleteAttribute(r.bucket(bucket), object, attribute)
}

func (r relative) ListAttributes(bucket, object string) ([]string, error) {
	return r.MetadataStorer.ListAttributes(r.bucket(bucket), object)
}

func (r relative) DeleteAttributes(bucket, object string) error {
	return r.MetadataStorer.DeleteAttributes(r.bucket(bucket), object)
}

func (r relative) RenameObject(bucket, oldObject, newObject string) error {
	return r.MetadataStorer.RenameObject(r.bucket(bucket), oldObject, newObject)
}
