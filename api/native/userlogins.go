package native

import (
	"context"
	"time"

	"waybill/internal/job"
)

// loginAttemptResponse is the vendor's LoginAttemptResponse with additions of ours.
type loginAttemptResponse struct {
	Timestamp int64  `json:"timestamp" doc:"Milliseconds since 1970"`
	UserID    int64  `json:"userId"`
	Username  string `json:"username"`
	Success   bool   `json:"success"`
	Exception string `json:"exception,omitempty" doc:"Code of the error"`
	Method    string `json:"method" enum:"password,basic,sso"`
	Address   string `json:"address" doc:"Of the client"`
}

type (
	loginListInput struct {
		UserPath
		ListParams
	}
	loginListReply struct{ Body Page[loginAttemptResponse] }
)

var loginSpec = listSpec{order: job.Sort{Property: "timestamp", Desc: true}, columns: []string{"username", "exception", "address"}}

func (d *door) listLogins(ctx context.Context, in *loginListInput) (*loginListReply, error) {
	return d.logins(ctx, in, d.server.People.Logins)
}

func (d *door) listAccountLogins(ctx context.Context, in *loginListInput) (*loginListReply, error) {
	return d.logins(ctx, in, d.server.People.AccountLogins)
}

func (d *door) logins(
	ctx context.Context, in *loginListInput, find func(context.Context, job.Actor, string, job.Query) (job.List[job.LoginAttempt], error),
) (*loginListReply, error) {
	c := d.call(ctx)
	l, err := d.readList(c.Request, in.ListParams, loginSpec)
	if err != nil {
		return nil, err
	}
	list, err := find(ctx, c.Actor, in.ID, l.query)
	if err != nil {
		return nil, err
	}
	return &loginListReply{envelope(d, c.style, l, list, func(a job.LoginAttempt) loginAttemptResponse {
		return loginAttemptResponse{
			Timestamp: a.Time.Truncate(time.Millisecond).UnixMilli(), UserID: a.UserID, Username: a.Username, Success: a.Success,
			Exception: string(a.Word), Method: string(a.Method), Address: a.Address,
		}
	})}, nil
}
