package control

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"

	"waybill/internal/job"
	"waybill/internal/macro"
)

// Clock tells the time; tests set it.
type Clock func() time.Time

// Sealer seals the values of secure macros (internal/secret.Box).
type Sealer interface {
	Seal(value string) string
}

// DestinationFinder finds destinations; Users has it.
type DestinationFinder interface {
	Destination(ctx context.Context, account, id int64) (job.Destination, error)
}

// Configs is what can be done with job configs.
type Configs struct {
	Reader       ConfigReader
	Writer       ConfigWriter
	Destinations DestinationFinder
	Files        FileStore
	Sealer       Sealer
	Targets      Targets
	Now          Clock
	NewID        func() string // makes object ids: 24 hex digits
	// Forget, when set, is told of configs that were deleted.
	Forget func(ctx context.Context, configs []int64)
}

// ConfigInput is a whole job config as a caller gives it. Fields left zero take their defaults.
type ConfigInput struct {
	Name, Description string
	ObjectID          string // only when creating; empty: made by Waybill
	Inactive          bool
	Runtime           job.RuntimeConfig // secure macros with Value in clear, or empty to keep the stored one
	Destination       int64
	Timeout           time.Duration
	Retry             job.RetryPolicy
	OnLoss            job.WorkerLoss
	Tags              []string
	Labels            job.Labels
	Rules             job.Rules
}

// Create stores a new job config that belongs to the actor.
func (s *Configs) Create(ctx context.Context, a job.Actor, in ConfigInput) (job.Config, error) {
	if !a.May(job.Create, job.KindJobConfig, 0, a.User.ID) { // what is one's own everybody may make, unless their key may not
		return job.Config{}, denied(a, job.Create, "The job config would be yours")
	}
	now := s.Now().UTC().Truncate(time.Microsecond)
	c := job.Config{
		AccountID: a.AccountID, ObjectID: in.ObjectID, Owner: a.User,
		CreatedAt: now, CreatedBy: a.User, ModifiedAt: now, ModifiedBy: a.User,
	}
	if c.ObjectID == "" {
		c.ObjectID = s.NewID()
	} else if !job.ValidID(c.ObjectID) {
		return job.Config{}, invalidField("objectId has 24 lower-case hex digits")
	}
	if err := s.fill(ctx, &c, in); err != nil {
		return job.Config{}, err
	}
	TrailOf(ctx).Changed(configChanges(job.Config{}, c))
	return s.Writer.CreateConfig(ctx, c)
}

// Get finds a config by decimal id or object id, for somebody who wants to view it.
func (s *Configs) Get(ctx context.Context, a job.Actor, ref string) (job.Config, error) {
	return s.For(ctx, a, ref, job.View)
}

// List lists the configs in the actor's scope.
func (s *Configs) List(ctx context.Context, a job.Actor, q job.Query) (job.List[job.Config], error) {
	if err := allowed(a, job.View); err != nil {
		return job.List[job.Config]{}, err
	}
	q.Scope = a.Scope()
	return s.Reader.Configs(ctx, q)
}

// Replace sets all of a config; what the input leaves out falls back to its default.
func (s *Configs) Replace(ctx context.Context, a job.Actor, ref string, in ConfigInput) (job.Config, error) {
	return s.Change(ctx, a, ref, func(job.Config) (ConfigInput, error) { return in, nil })
}

// Change reads a config, lets edit make the new input of it, and stores that. A write by somebody else in between makes
// it begin again, so that no change is lost.
func (s *Configs) Change(ctx context.Context, a job.Actor, ref string, edit func(job.Config) (ConfigInput, error)) (job.Config, error) {
	const tries = 5
	for try := 1; ; try++ {
		c, err := s.For(ctx, a, ref, job.Edit)
		if err != nil {
			return job.Config{}, err
		}
		in, err := edit(c)
		if err != nil {
			return job.Config{}, err
		}
		was, before := c.ModifiedAt, c
		if err := s.fill(ctx, &c, in); err != nil {
			return job.Config{}, err
		}
		c.ModifiedBy, c.ModifiedAt = a.User, s.Now().UTC().Truncate(time.Microsecond)
		if !c.ModifiedAt.After(was) { // two writes within a microsecond, or a clock set back: the stamp must still move
			c.ModifiedAt = was.Add(time.Microsecond)
		}
		TrailOf(ctx).About("jobconfig", decimal(c.ID))
		TrailOf(ctx).Changed(configChanges(before, c))
		err = s.Writer.UpdateConfig(ctx, c, was)
		if err == nil {
			return c, nil
		}
		if job.WordOf(err) != job.WordStale || try == tries {
			return job.Config{}, err
		}
	}
}

// SetActive switches all of the configs or none.
func (s *Configs) SetActive(ctx context.Context, a job.Actor, refs []string, active bool) error {
	ids, err := s.ids(ctx, a, refs, job.Edit)
	if err != nil {
		return err
	}
	TrailOf(ctx).About("jobconfig", decimals(ids)...)
	TrailOf(ctx).Changed([]job.AuditChange{{Field: "active", Before: yesNo(!active), After: yesNo(active)}})
	return s.Writer.SetConfigsActive(ctx, a.ScopeOf(job.Edit), ids, active, a.User, s.Now().UTC().Truncate(time.Microsecond))
}

// Delete deletes all of the configs or none. Their jobs and logs stay readable.
func (s *Configs) Delete(ctx context.Context, a job.Actor, refs []string) error {
	ids, err := s.ids(ctx, a, refs, job.Delete)
	if err != nil {
		return err
	}
	TrailOf(ctx).About("jobconfig", decimals(ids)...)
	if err := s.Writer.DeleteConfigs(ctx, a.ScopeOf(job.Delete), ids); err != nil {
		return err
	}
	if s.Forget != nil {
		s.Forget(ctx, ids)
	}
	return nil
}

// maxBulk bounds what one bulk call may name.
const maxBulk = 1000

func (s *Configs) ids(ctx context.Context, a job.Actor, refs []string, v job.Verb) ([]int64, error) {
	if len(refs) == 0 {
		return nil, job.Errorf(job.Invalid, job.WordMissingField, "recordIds is required")
	}
	if len(refs) > maxBulk {
		return nil, invalidField("recordIds names more than %d records", maxBulk)
	}
	ids := make([]int64, 0, len(refs))
	for _, ref := range refs {
		c, err := s.For(ctx, a, ref, v)
		if err != nil {
			return nil, err
		}
		ids = append(ids, c.ID)
	}
	return ids, nil
}

func (s *Configs) find(ctx context.Context, account int64, ref string) (job.Config, error) {
	return findConfig(ctx, s.Reader, account, ref)
}

// findConfig finds a config by either form of its id.
func findConfig(ctx context.Context, in ConfigReader, account int64, ref string) (job.Config, error) {
	if job.ValidID(ref) {
		return in.ConfigByObjectID(ctx, account, ref)
	}
	id, ok := decimalRef(ref)
	if !ok {
		return job.Config{}, job.Errorf(job.NotFound, job.WordNotFound, "Job config %s not found", short(ref))
	}
	return in.Config(ctx, account, id)
}

// Limits of a job config (native.md, 4; those it does not give are ours, to bound a row).
const (
	maxName        = 255       // characters
	maxDescription = 10_000    // characters
	maxMacros      = 1000      //
	maxMacroKey    = 255       // bytes
	maxMacroValue  = 256 << 10 // bytes
	maxTags        = 100
	maxTag         = 255 // characters
	maxAttempts    = 1000
	maxTimeout     = 366 * 24 * time.Hour
)

// fill lays the input over c, checks it, and seals what is secret.
func (s *Configs) fill(ctx context.Context, c *job.Config, in ConfigInput) error {
	name := strings.TrimSpace(in.Name)
	switch {
	case name == "":
		return job.Errorf(job.Invalid, job.WordMissingField, "name is required")
	case !printable(name, maxName):
		return invalidField("name has 1 to %d characters and no control characters", maxName)
	case utf8.RuneCountInString(in.Description) > maxDescription || strings.ContainsRune(in.Description, 0):
		return invalidField("description has at most %d characters and no NUL", maxDescription)
	case in.Timeout < 0 || in.Timeout > maxTimeout:
		return invalidField("timeout is between 0 and %d minutes", int(maxTimeout.Minutes()))
	case in.OnLoss != "" && in.OnLoss != job.Rerun && in.OnLoss != job.Fail:
		return invalidField("onWorkerLoss is rerun or fail")
	}
	if err := checkRetry(in.Retry); err != nil {
		return err
	}
	if err := checkRetention(in.Rules.Retention); err != nil {
		return err
	}
	if err := checkLabels(c.Labels, in.Labels); err != nil {
		return err
	}
	if err := checkRules(in.Rules); err != nil {
		return err
	}
	if err := s.checkDestination(ctx, c.AccountID, in.Destination); err != nil {
		return err
	}
	tags, err := cleanTags(in.Tags)
	if err != nil {
		return err
	}
	runtime, err := s.runtime(c.Runtime, in.Runtime)
	if err != nil {
		return err
	}
	if err := s.checkPin(ctx, *c, runtime); err != nil {
		return err
	}
	callbacks, err := sealCallbacks(s.Sealer, s.Targets, c.Rules.Callbacks, in.Rules.Callbacks)
	if err != nil {
		return err
	}
	c.Name, c.Description, c.Active = name, in.Description, !in.Inactive
	c.Runtime, c.Destination, c.Timeout = runtime, in.Destination, in.Timeout
	c.Retry, c.OnLoss, c.Tags, c.Labels = in.Retry, in.OnLoss, tags, in.Labels
	c.Rules = in.Rules
	c.Rules.Callbacks = callbacks
	return nil
}

func (s *Configs) checkDestination(ctx context.Context, account, id int64) error {
	if id == 0 {
		return nil
	}
	_, err := s.Destinations.Destination(ctx, account, id)
	if job.CodeOf(err) == job.NotFound {
		return job.Wrap(err, job.Invalid, job.WordInvalidField, "destinationId %d names no destination", id)
	}
	return err
}

// checkPin refuses a version that the package does not have. A package may be named before it is uploaded, and so may a
// version of it; nothing else runs a version that is not there.
func (s *Configs) checkPin(ctx context.Context, c job.Config, in job.RuntimeConfig) error {
	same := c.Runtime.PackageName == in.PackageName && c.Runtime.PackageVersion == in.PackageVersion
	if c.ID == 0 || in.PackageVersion == 0 || same {
		return nil
	}
	newest, err := s.Files.File(ctx, c.AccountID, job.EntityJobConfig, c.ID, in.PackageName, 0)
	if job.CodeOf(err) == job.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = s.Files.File(ctx, c.AccountID, job.EntityJobConfig, c.ID, in.PackageName, in.PackageVersion)
	if job.CodeOf(err) == job.NotFound {
		return job.Wrap(err, job.Invalid, job.WordInvalidField, "packageVersion %d is no version of '%s'; the newest is %d",
			in.PackageVersion, short(in.PackageName), newest.Version)
	}
	return err
}

func (s *Configs) runtime(old, in job.RuntimeConfig) (job.RuntimeConfig, error) {
	if in.PackageName != "" {
		if err := CheckKey(in.PackageName); err != nil {
			return in, err
		}
	}
	if in.PackageVersion < 0 {
		return in, invalidField("packageVersion is 1 or more")
	}
	if in.PackageVersion > 0 && in.PackageName == "" {
		return in, invalidField("packageVersion needs a packageName")
	}
	if err := checkRuntimeText(in); err != nil {
		return in, err
	}
	if err := checkMessages(in.InMessages, in.OutMessageNames); err != nil {
		return in, err
	}
	macros, err := sealMacros(s.Sealer, old.Macros, in.Macros)
	if err != nil {
		return in, err
	}
	in.Macros = macros
	return in, macro.Check(macros)
}
