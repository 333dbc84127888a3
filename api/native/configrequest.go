package native

import (
	"strconv"
	"time"

	"waybill/internal/control"
	"waybill/internal/job"
)

// jobConfigRequest is the vendor's JobConfigRequest with the additions of native.md, 4.
type jobConfigRequest struct {
	ObjectID      member[string]               `json:"objectId" doc:"24 hex digits; only when creating"`
	Name          member[string]               `json:"name"`
	Description   member[string]               `json:"description"`
	Active        member[bool]                 `json:"active" doc:"true if not given"`
	DestinationID member[string]               `json:"destinationId"`
	Timeout       member[int64]                `json:"timeout" doc:"Minutes; 0: no limit"`
	Tags          member[[]string]             `json:"tags"`
	Runtime       member[runtimeConfigRequest] `json:"runtimeConfig"`
	Retry         member[retryPolicyRequest]   `json:"retryPolicy"`
	OnWorkerLoss  member[string]               `json:"onWorkerLoss" doc:"rerun or fail"`
	Retention     member[retentionRequest]     `json:"retention" doc:"How long finished jobs are kept; its limits win over the account's"`
	AgentID       member[string]               `json:"agentId" doc:"Stored and given back, without effect"`
	IntegrationID member[string]               `json:"integrationId" doc:"Stored and given back, without effect"`
	ProfileID     member[string]               `json:"profileId" doc:"Stored and given back, without effect"`
	TaskType      member[string]               `json:"taskType" doc:"DMASK, DRS, DSS, MAPPING, MTT, PCS or WORKFLOW, in any letter case: the only type with which Informatica clients start it"`
	Schedule      member[string]               `json:"schedule" doc:"Cron pattern in UTC; short for POST or PUT of the schedule. An empty one takes it away, none leaves it as it is"`
	Blocking      member[bool]                 `json:"blocking" doc:"true: one job of the config at a time, the others wait; as concurrency {limit 1, onLimit queue}"`
	Concurrency   member[concurrencyRequest]   `json:"concurrency" doc:"How many jobs of one key run at once; counts from the next start on"`
	QueueTimeout  member[int64]                `json:"queueTimeout" doc:"Minutes a job may wait, its lane included, until a worker takes it; 0: no limit"`
	TotalTimeout  member[int64]                `json:"totalTimeout" doc:"Minutes a job may take from its start on, over all attempts, waits and pauses; 0: no limit"`

	Resources member[resourcesRequest]  `json:"resources" doc:"Upper limits for the processes of a job together, within those of the worker; what is left open is the package's to say, then the worker's"`
	Callbacks member[[]callbackRequest] `json:"callbacks" doc:"Addresses that are told of the jobs from the next start on; 10 at most"`

	// Members that are part of the API but not in force yet. They are refused when they ask for anything.
	JobTemplateID member[string]   `json:"jobTemplateId" doc:"Not supported yet"`
	Macrosets     member[[]string] `json:"macrosets" doc:"Not supported yet"`
}

// runtimeConfigRequest is the vendor's RuntimeConfig as a client sends it.
type runtimeConfigRequest struct {
	PackageName             member[string]           `json:"packageName" doc:"Key of a file of the job config"`
	PackageVersion          member[int64]            `json:"packageVersion" doc:"Pins a version; without it a job takes the newest"`
	EntryPoint              member[string]           `json:"entryPoint"`
	LogLevel                member[string]           `json:"logLevel" doc:"SEVERE, WARNING, INFO or DEBUG"`
	PackageArtifactOverride member[bool]             `json:"packageArtifactOverride"`
	PackageEntityType       member[string]           `json:"packageEntityType"`
	PackageEntityID         member[string]           `json:"packageEntityId"`
	Macros                  member[[]macroRequest]   `json:"macros"`
	InMessages              member[[]messageRequest] `json:"inMessages" doc:"Texts each job is given: name, body, properties"`
	OutMessageNames         member[[]string]         `json:"outMessageNames" doc:"Messages each job should give; one that does not has the warning out_message_missing"`

	Resources member[resourcesRequest] `json:"resources" doc:"As resources beside runtimeConfig, which come first"`
}

// macroRequest is the vendor's Macro as a client sends it.
type macroRequest struct {
	Key         string `json:"key"`
	Value       string `json:"value"`
	Secure      bool   `json:"secure"`
	Description string `json:"description"`
}

type retryPolicyRequest struct {
	MaximumAttempts       member[int64]   `json:"maximumAttempts"`
	InitialInterval       member[string]  `json:"initialInterval"`
	BackoffCoefficient    member[float64] `json:"backoffCoefficient"`
	MaximumInterval       member[string]  `json:"maximumInterval"`
	NonRetryableExitCodes member[[]int64] `json:"nonRetryableExitCodes"`
}

// inputOf is what a config's own input would be: PATCH lays the request over it. Secure macros go without their value,
// which keeps the stored one.
func inputOf(c job.Config) control.ConfigInput {
	return control.ConfigInput{
		Name: c.Name, Description: c.Description, Inactive: !c.Active, Runtime: c.Runtime, Destination: c.Destination,
		Timeout: c.Timeout, Retry: c.Retry, OnLoss: c.OnLoss, Tags: c.Tags, Labels: c.Labels, Rules: c.Rules,
	}
}

// input lays the request over in.
func (r *jobConfigRequest) input(in control.ConfigInput) (control.ConfigInput, error) {
	if err := r.refuse(); err != nil {
		return in, err
	}
	lay(r.ObjectID, &in.ObjectID)
	lay(r.Name, &in.Name)
	lay(r.Description, &in.Description)
	layCallbacks(r.Callbacks, &in.Rules.Callbacks)
	lay(r.Tags, &in.Tags)
	lay(r.AgentID, &in.Labels.AgentID)
	lay(r.IntegrationID, &in.Labels.IntegrationID)
	lay(r.ProfileID, &in.Labels.ProfileID)
	lay(r.TaskType, &in.Labels.TaskType)
	if r.Active.Set {
		in.Inactive = !r.Active.Null && !r.Active.Value
	}
	if r.OnWorkerLoss.Set {
		in.OnLoss = job.WorkerLoss(r.OnWorkerLoss.Value)
	}
	if r.Timeout.Set {
		var err error
		if in.Timeout, err = minutes("timeout", r.Timeout.Value); err != nil {
			return in, err
		}
	}
	if r.DestinationID.Set {
		id, err := decimalID("destinationId", r.DestinationID.Value)
		if err != nil {
			return in, err
		}
		in.Destination = id
	}
	if err := r.Runtime.Value.lay(r.Runtime, &in.Runtime); err != nil {
		return in, err
	}
	for _, m := range []member[resourcesRequest]{r.Runtime.Value.Resources, r.Resources} {
		if err := m.Value.lay(m, &in.Rules.Resources); err != nil {
			return in, err
		}
	}
	if err := r.Retention.Value.lay(r.Retention, &in.Rules.Retention); err != nil {
		return in, err
	}
	if err := r.layRules(&in.Rules); err != nil {
		return in, err
	}
	return in, r.Retry.Value.lay(r.Retry, &in.Retry)
}

// maxMinutes keeps a number of minutes within a time.Duration; the use case has a smaller limit.
const maxMinutes = 100 * 366 * 24 * 60

// decimalID reads an id; "" is 0.
func decimalID(name, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id < 1 || strconv.FormatInt(id, 10) != s {
		return 0, invalid("%s is not an id", name)
	}
	return id, nil
}

// refuse turns down what is asked for but not in force yet: to take it in silence would promise what does not happen.
func (r *jobConfigRequest) refuse() error {
	for _, one := range []struct {
		name  string
		asked bool
	}{
		{"jobTemplateId", r.JobTemplateID.Value != ""},
		{"macrosets", len(r.Macrosets.Value) > 0},
	} {
		if one.asked {
			return notYet(one.name)
		}
	}
	return nil
}

func notYet(name string) error { return invalid("%s is not supported yet", name) }

// lay lays the members that were sent over to; null clears them all.
func (r runtimeConfigRequest) lay(m member[runtimeConfigRequest], to *job.RuntimeConfig) error {
	if !m.Set {
		return nil
	}
	if m.Null {
		*to = job.RuntimeConfig{}
		return nil
	}
	if r.PackageName.Set && r.PackageName.Value != to.PackageName && !r.PackageVersion.Set {
		to.PackageVersion = 0 // a pinned version belongs to the package it was pinned for
	}
	lay(r.PackageName, &to.PackageName)
	lay(r.EntryPoint, &to.EntryPoint)
	lay(r.LogLevel, &to.LogLevel)
	lay(r.PackageArtifactOverride, &to.PackageArtifactOverride)
	lay(r.PackageEntityType, &to.PackageEntityType)
	lay(r.PackageEntityID, &to.PackageEntityID)
	if r.PackageVersion.Set {
		version, err := wholeNumber("runtimeConfig.packageVersion", r.PackageVersion.Value)
		if err != nil || (version == 0 && !r.PackageVersion.Null) {
			return invalid("runtimeConfig.packageVersion is 1 or more")
		}
		to.PackageVersion = version
	}
	if r.Macros.Set {
		to.Macros = macrosOf(r.Macros.Value)
	}
	if r.InMessages.Set {
		to.InMessages = messagesOf(r.InMessages.Value)
	}
	lay(r.OutMessageNames, &to.OutMessageNames)
	return nil
}

func macrosOf(in []macroRequest) []job.Macro {
	var out []job.Macro
	for _, m := range in {
		out = append(out, job.Macro{Key: m.Key, Value: m.Value, Secure: m.Secure, Description: m.Description})
	}
	return out
}

func (r retryPolicyRequest) lay(m member[retryPolicyRequest], to *job.RetryPolicy) error {
	if !m.Set {
		return nil
	}
	if m.Null {
		*to = job.RetryPolicy{}
		return nil
	}
	if r.MaximumAttempts.Set {
		n, err := wholeNumber("retryPolicy.maximumAttempts", r.MaximumAttempts.Value)
		if err != nil || (n == 0 && !r.MaximumAttempts.Null) {
			return invalid("retryPolicy.maximumAttempts is 1 or more")
		}
		to.MaximumAttempts = n
	}
	lay(r.BackoffCoefficient, &to.BackoffCoefficient)
	if err := layInterval("retryPolicy.initialInterval", r.InitialInterval, &to.InitialInterval); err != nil {
		return err
	}
	if err := layInterval("retryPolicy.maximumInterval", r.MaximumInterval, &to.MaximumInterval); err != nil {
		return err
	}
	if r.NonRetryableExitCodes.Set {
		to.NonRetryable = nil
		for _, code := range r.NonRetryableExitCodes.Value {
			n, err := wholeNumber("retryPolicy.nonRetryableExitCodes", code)
			if err != nil {
				return err
			}
			to.NonRetryable = append(to.NonRetryable, n)
		}
	}
	return nil
}

func layInterval(name string, m member[string], to *time.Duration) error {
	if !m.Set {
		return nil
	}
	*to = 0
	if m.Null {
		return nil
	}
	d, err := parseDuration(m.Value)
	if err != nil {
		return invalid("%s is a duration such as 10s, 5m or PT10S", name)
	}
	*to = d
	return nil
}

// wholeNumber checks a number that is stored in 32 bits.
func wholeNumber(name string, n int64) (int, error) {
	if n < 0 || n > 1<<31-1 {
		return 0, invalid("%s is a whole number from 0 to %d", name, 1<<31-1)
	}
	return int(n), nil
}
