package native

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"waybill/internal/job"
)

// jobConfigResponse is the vendor's JobConfigResponse with the additions of native.md, 4. Members that a request takes
// are given back under the request's name too, so that what was read can be sent back.
type jobConfigResponse struct {
	ID             string                 `json:"id"`
	ObjectID       string                 `json:"objectId"`
	Name           string                 `json:"name"`
	Description    string                 `json:"description,omitempty"`
	Href           string                 `json:"href"`
	Active         bool                   `json:"active"`
	Blocking       bool                   `json:"blocking"`
	Callbacks      []callbackResponse     `json:"callbacks,omitempty"`
	Favorite       bool                   `json:"favorite"`
	Remote         bool                   `json:"remote"`
	Timeout        int64                  `json:"timeout,omitempty" doc:"Minutes"`
	RuntimeConfig  *runtimeConfigResponse `json:"runtimeConfig,omitempty"`
	RetryPolicy    *retryPolicyResponse   `json:"retryPolicy,omitempty"`
	Concurrency    *concurrencyResponse   `json:"concurrency,omitempty"`
	QueueTimeout   int64                  `json:"queueTimeout,omitempty" doc:"Minutes"`
	TotalTimeout   int64                  `json:"totalTimeout,omitempty" doc:"Minutes"`
	OnWorkerLoss   string                 `json:"onWorkerLoss,omitempty"`
	Retention      *retentionResponse     `json:"retention,omitempty"`
	Resources      *packageResources      `json:"resources,omitempty"`
	Tags           []string               `json:"tags,omitempty"`
	TaskType       string                 `json:"taskType,omitempty"`
	Schedule       string                 `json:"schedule,omitempty" doc:"The pattern of a cron schedule"`
	NextFireTime   string                 `json:"nextFireTime,omitempty"`
	DestinationID  string                 `json:"destinationId,omitempty"`
	Destination    *reference             `json:"destination,omitempty"`
	AgentID        string                 `json:"agentId,omitempty"`
	Agent          *reference             `json:"agent,omitempty"`
	IntegrationID  string                 `json:"integrationId,omitempty"`
	Integration    *reference             `json:"integration,omitempty"`
	ProfileID      string                 `json:"profileId,omitempty"`
	Profile        *reference             `json:"profile,omitempty"`
	Permissions    []string               `json:"permissions,omitempty"`
	User           *reference             `json:"user,omitempty"`
	Created        string                 `json:"created"`
	CreatedBy      *reference             `json:"createdByUser,omitempty"`
	LastModified   string                 `json:"lastModified"`
	LastModifiedBy *reference             `json:"lastModifiedByUser,omitempty"`
}

// runtimeConfigResponse is the vendor's RuntimeConfig as it is shown.
type runtimeConfigResponse struct {
	PackageName             string            `json:"packageName,omitempty"`
	PackageVersion          int               `json:"packageVersion,omitempty"`
	EntryPoint              string            `json:"entryPoint,omitempty"`
	LogLevel                string            `json:"logLevel,omitempty"`
	PackagePrefix           string            `json:"packagePrefix" doc:"A label, set by the server"`
	PackageArtifactOverride bool              `json:"packageArtifactOverride"`
	PackageEntityType       string            `json:"packageEntityType,omitempty"`
	PackageEntityID         string            `json:"packageEntityId,omitempty"`
	Macros                  []macroResponse   `json:"macros,omitempty"`
	InMessages              []messageResponse `json:"inMessages,omitempty"`
	OutMessageNames         []string          `json:"outMessageNames,omitempty"`
}

// macroResponse is the vendor's Macro as it is shown: a secure one without its value.
type macroResponse struct {
	Key         string  `json:"key"`
	Value       *string `json:"value,omitempty"`
	Secure      bool    `json:"secure"`
	Description string  `json:"description,omitempty"`
	Token       string  `json:"token" doc:"How the macro is written where its value should stand"`
}

type retryPolicyResponse struct {
	MaximumAttempts       int     `json:"maximumAttempts"`
	InitialInterval       string  `json:"initialInterval"`
	BackoffCoefficient    float64 `json:"backoffCoefficient"`
	MaximumInterval       string  `json:"maximumInterval"`
	NonRetryableExitCodes []int   `json:"nonRetryableExitCodes"`
}

func (s call) config(c job.Config) jobConfigResponse {
	id := strconv.FormatInt(c.ID, 10)
	return jobConfigResponse{
		ID: id, ObjectID: c.ObjectID, Name: c.Name, Description: c.Description, Href: s.href("jobconfigs/" + id), Active: c.Active,
		Timeout: wholeMinutes(c.Timeout), Blocking: c.Rules.Blocking, Callbacks: callbacksShown(c.Rules.Callbacks), Concurrency: concurrencyShown(c.Rules.Concurrency),
		QueueTimeout: wholeMinutes(c.Rules.QueueTimeout), TotalTimeout: wholeMinutes(c.Rules.TotalTimeout), RuntimeConfig: runtimeShown(c), RetryPolicy: retryShown(c.Retry),
		OnWorkerLoss: string(c.OnLoss), Retention: retentionShown(c.Rules.Retention), Resources: resourcesAsked(c.Rules.Resources), Tags: c.Tags, TaskType: c.Labels.TaskType,
		DestinationID: shownID(c.Destination), Destination: s.destination(c.Destination),
		AgentID: c.Labels.AgentID, Agent: label(c.Labels.AgentID), IntegrationID: c.Labels.IntegrationID,
		Integration: label(c.Labels.IntegrationID), ProfileID: c.Labels.ProfileID, Profile: label(c.Labels.ProfileID),
		User: s.user(c.Owner), Created: s.date(c.CreatedAt), CreatedBy: s.user(c.CreatedBy),
		LastModified: s.date(c.ModifiedAt), LastModifiedBy: s.user(c.ModifiedBy),
	}
}

func shownID(id int64) string {
	if id == 0 {
		return ""
	}
	return strconv.FormatInt(id, 10)
}

func (s call) destination(id int64) *reference {
	if id == 0 {
		return nil
	}
	return &reference{ID: shownID(id), Name: s.look().Name(id), Href: s.href("destinations/" + shownID(id))}
}

func label(id string) *reference {
	if id == "" {
		return nil
	}
	return &reference{ID: id}
}

func runtimeShown(c job.Config) *runtimeConfigResponse {
	r := c.Runtime
	if reflect.ValueOf(r).IsZero() {
		return nil
	}
	return &runtimeConfigResponse{
		PackageName: r.PackageName, PackageVersion: r.PackageVersion, EntryPoint: r.EntryPoint, LogLevel: r.LogLevel,
		PackagePrefix: `configuration\` + strconv.FormatInt(c.ID, 10), PackageArtifactOverride: r.PackageArtifactOverride,
		PackageEntityType: r.PackageEntityType, PackageEntityID: r.PackageEntityID, Macros: macrosShown(r.Macros),
		InMessages: inMessagesShown(r.InMessages), OutMessageNames: r.OutMessageNames,
	}
}

func macrosShown(in []job.Macro) []macroResponse {
	var out []macroResponse
	for _, m := range in {
		shown := macroResponse{Key: m.Key, Secure: m.Secure, Description: m.Description, Token: "$(" + m.Key + ")"}
		if !m.Secure {
			shown.Value = &m.Value
		}
		out = append(out, shown)
	}
	return out
}

func retryShown(p job.RetryPolicy) *retryPolicyResponse {
	if reflect.ValueOf(p).IsZero() {
		return nil
	}
	r := &retryPolicyResponse{
		MaximumAttempts: max(1, p.MaximumAttempts), InitialInterval: shortDuration(10 * time.Second), BackoffCoefficient: 2,
		MaximumInterval: shortDuration(10 * time.Minute), NonRetryableExitCodes: []int{},
	}
	if p.InitialInterval > 0 {
		r.InitialInterval = shortDuration(p.InitialInterval)
	}
	if p.MaximumInterval > 0 {
		r.MaximumInterval = shortDuration(p.MaximumInterval)
	}
	if p.BackoffCoefficient >= 1 {
		r.BackoffCoefficient = p.BackoffCoefficient
	}
	r.NonRetryableExitCodes = append(r.NonRetryableExitCodes, p.NonRetryable...)
	return r
}

// shortDuration writes a duration as a request would: 10s, 10m, 1h30m.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
