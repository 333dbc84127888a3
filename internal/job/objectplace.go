package job

import (
	"strconv"
	"strings"
	"time"
)

// ObjectPlace is what an object belongs to, as its key tells.
type ObjectPlace struct {
	Account int64
	Job     ID     // of a job's log or outputs
	Fence   int64  // of the attempt, for outputs
	SHA256  string // of a package
}

// PlaceOfObject reads a key. Not ok is one that Waybill does not make.
func PlaceOfObject(key string) (p ObjectPlace, ok bool) {
	parts := strings.SplitN(key, "/", 7)
	if len(parts) < 5 || parts[0] != "accounts" {
		return p, false
	}
	account, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || itoa(account) != parts[1] {
		return p, false
	}
	p.Account = account
	switch {
	case parts[2] == "blobs" && len(parts) == 5 && len(parts[4]) == 64 && strings.HasPrefix(parts[4], parts[3]):
		p.SHA256 = parts[4]
		return p, BlobKey(account, p.SHA256) == key
	case parts[2] == "jobs" && ValidID(parts[3]):
		p.Job = ID(parts[3])
		if parts[4] == "out" && len(parts) == 7 {
			p.Fence, err = strconv.ParseInt(parts[5], 10, 64)
			return p, err == nil && itoa(p.Fence) == parts[5]
		}
		return p, parts[4] == "log"
	}
	return p, false
}

// OutputPrefix is the object-store prefix of the outputs of one attempt.
func OutputPrefix(account int64, id ID, fence int64) string { return OutputKey(account, id, fence, "") }

// ObjectFolder is objects that are kept and deleted together.
type ObjectFolder struct {
	Prefix string // of their keys; for a package, its key
	Place  ObjectPlace
}

// FolderOfObject finds the folder of an object: a package is one by itself, an attempt's outputs are one, and so is what else
// a job has.
func FolderOfObject(key string) (ObjectFolder, bool) {
	p, ok := PlaceOfObject(key)
	switch {
	case !ok:
		return ObjectFolder{}, false
	case p.SHA256 != "":
		return ObjectFolder{Prefix: key, Place: p}, true
	case p.Fence != 0:
		return ObjectFolder{Prefix: OutputPrefix(p.Account, p.Job, p.Fence), Place: p}, true
	}
	return FolderOfJob(p.Account, p.Job), true
}

// FolderOfJob is everything that belongs to a job.
func FolderOfJob(account int64, id ID) ObjectFolder {
	return ObjectFolder{Prefix: JobPrefix(account, id), Place: ObjectPlace{Account: account, Job: id}}
}

// SweepMark is where the look for objects that no row knows has got to.
type SweepMark struct {
	After    string    // the last key that was looked at; empty: between two rounds
	Finished time.Time // the end of the last round
}
