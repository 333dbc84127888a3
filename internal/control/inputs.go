package control

import (
	"context"

	"waybill/internal/job"
)

// Limits of the files a job gets: each start copies them into the job's folder.
const (
	maxInputs     = 100
	maxInputBytes = 4 << 30
)

// inputs adds the config's other files to a job's: those it links to, and those of its own that are no packages. They are
// taken in the version they have now. A file of the start with the same name comes before one of the config.
func (s *Jobs) inputs(ctx context.Context, c job.Config, spec *job.Spec) error {
	names, total := map[string]string{}, int64(0)
	for name := range spec.Files {
		names[name] = ""
	}
	// Packages that were run before may be many beside them, so it goes on page by page.
	q := job.Query{Scope: job.Scope{AccountID: c.AccountID}, Sort: []job.Sort{{Property: "name"}}, Size: 1000, Keyset: true}
	for more := true; more; {
		page, err := s.Files.Files(ctx, c.AccountID, job.EntityJobConfig, c.ID, q)
		if err != nil {
			return err
		}
		for _, f := range page.Items {
			_, given := names[f.Key]
			if f.Key == spec.PackageName || given || f.Archive != nil && f.LinkID == 0 {
				continue
			}
			names[f.Key] = ""
			total += f.Size
			spec.Inputs = append(spec.Inputs, job.InputFile{
				Name: f.Key, Version: f.Version, SHA256: f.SHA256, Size: f.Size, SourceType: f.EntityType, SourceID: f.EntityID,
			})
		}
		if len(spec.Inputs) > maxInputs {
			return invalidField("Job config %d has more than %d files besides its packages, which its jobs would get", c.ID, maxInputs)
		}
		q.After, more = page.Next, page.More
	}
	if total > maxInputBytes {
		return job.Errorf(job.TooLarge, job.WordTooLarge, "The files of job config %d have more than %d bytes besides its packages", c.ID, int64(maxInputBytes))
	}
	if len(spec.Inputs) == 0 {
		return nil
	}
	return checkNames(names)
}
