// Package client is a small client of Waybill's native REST API, for the commands that use a running Waybill the way
// anybody else would: quickstart and bench. It imports the standard library only.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client calls one Waybill as one user. It is safe for concurrent use after Login.
type Client struct {
	base  string
	http  *http.Client
	token string
}

// New makes a client for a base URL such as http://127.0.0.1:8080. conns is how many connections it keeps open.
func New(base string, conns int) *Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost, t.Proxy = conns, conns, nil
	return &Client{base: strings.TrimRight(base, "/"), http: &http.Client{Transport: t}}
}

// Error is an answer that is not a success.
type Error struct {
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message) }

// CodeOf is the stable code of an answer that is not a success, "" otherwise.
func CodeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// Config is what the commands need of a job config.
type Config struct {
	ID          string   `json:"id,omitempty"`
	Name        string   `json:"name"`
	Active      bool     `json:"active"`
	Description string   `json:"description,omitempty"`
	Runtime     *Runtime `json:"runtimeConfig,omitempty"`
	Href        string   `json:"href,omitempty"`
}

// Runtime is what the commands need of a runtimeConfig.
type Runtime struct {
	PackageName string  `json:"packageName"`
	EntryPoint  string  `json:"entryPoint"`
	Macros      []Macro `json:"macros,omitempty"`
}

// Macro is a named value.
type Macro struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Job is what the commands need of a job.
type Job struct {
	ID         string `json:"id"`
	Href       string `json:"href"`
	Status     string `json:"status"`
	Reason     string `json:"reason"`
	ReturnCode string `json:"returnCode"`
	Duration   string `json:"duration"`
}

// Final tells whether the job has ended.
func (j Job) Final() bool {
	switch j.Status {
	case "FINISHED", "ERROR", "FAILED", "CANCELLED":
		return true
	}
	return false
}

// File is a file of a config or of a job's output.
type File struct {
	Name     string `json:"name"`
	Href     string `json:"href"`
	Metadata struct {
		Size   int64  `json:"size"`
		SHA256 string `json:"sha256"`
	} `json:"metadata"`
}

// Login signs in; later calls carry the token.
func (c *Client) Login(ctx context.Context, user, password string) error {
	var grant struct {
		Access string `json:"access_token"`
	}
	if err := c.json(ctx, http.MethodPost, "/api/login", map[string]string{"username": user, "password": password}, &grant); err != nil {
		return err
	}
	c.token = grant.Access
	return nil
}

// CreateConfig makes a job config.
func (c *Client) CreateConfig(ctx context.Context, in Config) (out Config, err error) {
	err = c.json(ctx, http.MethodPost, "/api/jobconfigs", in, &out)
	return out, err
}

// ReplaceConfig sets all of a job config.
func (c *Client) ReplaceConfig(ctx context.Context, id string, in Config) (out Config, err error) {
	err = c.json(ctx, http.MethodPut, "/api/jobconfigs/"+url.PathEscape(id), in, &out)
	return out, err
}

// ConfigNamed finds a job config by its exact name.
func (c *Client) ConfigNamed(ctx context.Context, name string) (Config, error) {
	query := url.Values{"filterby": {"name"}, "operators": {"eq"}, "filter": {name}}
	var list struct {
		Items []Config `json:"items"`
	}
	if err := c.json(ctx, http.MethodGet, "/api/jobconfigs?"+query.Encode(), nil, &list); err != nil {
		return Config{}, err
	}
	if len(list.Items) != 1 {
		return Config{}, fmt.Errorf("there are %d job configs named %q", len(list.Items), name)
	}
	return list.Items[0], nil
}

// Upload sends a file as multipart/form-data, as the vendor's tutorial does. It is sent while it is read.
func (c *Client) Upload(ctx context.Context, config, key string, body io.Reader) (out File, err error) {
	form, to := io.Pipe()
	defer form.Close() // ends the writing below if the call ends first
	w := multipart.NewWriter(to)
	go func() { to.CloseWithError(writeForm(w, key, body)) }()
	err = c.do(ctx, http.MethodPost, "/api/jobconfigs/"+url.PathEscape(config)+"/files", w.FormDataContentType(), form, &out)
	return out, err
}

func writeForm(w *multipart.Writer, key string, body io.Reader) error {
	if err := w.WriteField("key", key); err != nil {
		return err
	}
	part, err := w.CreateFormFile("file", key)
	if err != nil {
		return err
	}
	if _, err := io.Copy(part, body); err != nil {
		return err
	}
	return w.Close()
}

// Run starts a job. A positive wait holds the call until the job has ended or the time is over.
func (c *Client) Run(ctx context.Context, config string, wait time.Duration) (out Job, err error) {
	path := "/api/jobconfigs/" + url.PathEscape(config) + "/jobs"
	if wait > 0 {
		path += "?wait=" + wait.String()
	}
	err = c.do(ctx, http.MethodPost, path, "application/json", nil, &out)
	return out, err
}

// Job looks a job up. A positive wait holds the call until the job has ended or the time is over.
func (c *Client) Job(ctx context.Context, id string, wait time.Duration) (out Job, err error) {
	path := "/api/jobs/" + url.PathEscape(id)
	if wait > 0 {
		path += "?wait=" + wait.String()
	}
	err = c.json(ctx, http.MethodGet, path, nil, &out)
	return out, err
}

// FollowLog copies the job's log to w as it is written, until the job has ended.
func (c *Client) FollowLog(ctx context.Context, id string, w io.Writer) error {
	return c.copy(ctx, "/api/jobs/"+url.PathEscape(id)+"/log?follow=true", w)
}

// Outputs lists the files a job left.
func (c *Client) Outputs(ctx context.Context, id string) ([]File, error) {
	var list struct {
		Items []File `json:"items"`
	}
	err := c.json(ctx, http.MethodGet, "/api/jobs/"+url.PathEscape(id)+"/out/files", nil, &list)
	return list.Items, err
}

// Output copies one of the files a job left to w.
func (c *Client) Output(ctx context.Context, id, name string, w io.Writer) error {
	return c.copy(ctx, "/api/jobs/"+url.PathEscape(id)+"/out/files/"+url.PathEscape(name), w)
}

func (c *Client) copy(ctx context.Context, path string, w io.Writer) error {
	resp, err := c.send(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	return err
}

func (c *Client) json(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	return c.do(ctx, method, path, "application/json", body, out)
}

func (c *Client) do(ctx context.Context, method, path, contentType string, body io.Reader, out any) error {
	resp, err := c.send(ctx, method, path, contentType, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	_, err = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
	return err
}

func (c *Client) send(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	fault := &Error{Status: resp.StatusCode, Message: http.StatusText(resp.StatusCode)}
	// A body that is not the API's own, such as a proxy's page, leaves the status to speak for itself.
	if text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10)); err == nil {
		_ = json.Unmarshal(text, fault)
	}
	fault.Status = resp.StatusCode
	return nil, fault
}
