package job

import (
	"strings"
	"testing"
)

func TestPlaceOfObject(t *testing.T) {
	const id = ID("69b9209b00000000000000c1")
	sum := strings.Repeat("ab", 32)
	for key, want := range map[string]ObjectPlace{
		BlobKey(7, sum):                          {Account: 7, SHA256: sum},
		LogPrefix(7, id) + "0-0":                 {Account: 7, Job: id},
		OutputKey(7, id, 12, "a/b/c.txt"):        {Account: 7, Job: id, Fence: 12},
		OutputKey(7, id, 12, "accounts/1/blobs"): {Account: 7, Job: id, Fence: 12},
	} {
		if got, ok := PlaceOfObject(key); !ok || got != want {
			t.Errorf("PlaceOfObject(%q) = %+v, %t; want %+v", key, got, ok, want)
		}
	}
	for _, key := range []string{
		"", "probe/x", "accounts/7", "accounts/7/blobs/ab/" + sum[:63], "accounts/7/blobs/cd/" + sum, "accounts/07/blobs/ab/" + sum,
		"accounts/x/jobs/" + string(id) + "/log/1", "accounts/7/jobs/nobody/log/1", "accounts/7/jobs/" + string(id) + "/other/1",
		"accounts/7/jobs/" + string(id) + "/out/x/name", "accounts/7/jobs/" + string(id) + "/out/1", "other/7/jobs/" + string(id) + "/log/1",
	} {
		if got, ok := PlaceOfObject(key); ok {
			t.Errorf("PlaceOfObject(%q) = %+v, want none", key, got)
		}
	}
}

func FuzzPlaceOfObject(f *testing.F) {
	f.Add("accounts/7/jobs/69b9209b00000000000000c1/out/12/a/b")
	f.Add("accounts/7/blobs/ab/" + strings.Repeat("ab", 32))
	f.Fuzz(func(t *testing.T, key string) {
		p, ok := PlaceOfObject(key)
		switch {
		case !ok:
		case p.SHA256 != "":
			if BlobKey(p.Account, p.SHA256) != key {
				t.Errorf("%q is taken for %+v", key, p)
			}
		case p.Fence != 0:
			if !strings.HasPrefix(key, OutputPrefix(p.Account, p.Job, p.Fence)) {
				t.Errorf("%q is taken for %+v", key, p)
			}
		default:
			if !strings.HasPrefix(key, JobPrefix(p.Account, p.Job)) {
				t.Errorf("%q is taken for %+v", key, p)
			}
		}
	})
}
