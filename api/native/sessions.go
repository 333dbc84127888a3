package native

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"waybill/api"
	"waybill/internal/control"
	"waybill/internal/job"
)

// loginRequest is the vendor's LoginRequest.
type loginRequest struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

type refreshRequest struct {
	RefreshToken string `json:"refresh_token"`
}

// accessTokenResponse is the vendor's, with the refresh token its tutorial shows.
type accessTokenResponse struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	RefreshToken string `json:"refresh_token"`
	ExpiresIn    int64  `json:"expires_in" doc:"Seconds the access token lives"`
}

// installedProductInfo is the vendor's InstalledProductInfo.
type installedProductInfo struct {
	Name      string `json:"name"`
	Copyright string `json:"copyright"`
	Version   string `json:"version"`
	BuildDate string `json:"buildDate"`
	Role      string `json:"role,omitempty" doc:"What the process that answers is: up, all of Waybill, or api, one of several that serve REST"`
}

type (
	loginInput   struct{ JSON body[loginRequest] }
	refreshInput struct{ JSON body[refreshRequest] }
	noInput      struct{}
	noReply      struct{}
	tokenReply   struct{ Body accessTokenResponse }
	productReply struct{ Body installedProductInfo }
)

func (d *door) sessionRoutes() {
	tags := []string{"Sign-in"}
	operation(d, open, huma.Operation{
		Method: http.MethodPost, Path: "/login", Summary: "Log in", Tags: tags,
	}, d.login)
	operation(d, open, huma.Operation{
		Method: http.MethodPost, Path: "/login/refresh", Summary: "Trade a refresh token for new tokens", Tags: tags,
	}, d.refresh)
	operation(d, bearer, huma.Operation{
		Method: http.MethodPost, Path: "/logout", Summary: "End all tokens of this login", Tags: tags, DefaultStatus: http.StatusNoContent,
	}, d.logout)
	operation(d, open, huma.Operation{
		Method: http.MethodGet, Path: "/product/info", Summary: "Name and version", Tags: []string{"Product"},
	}, d.product)
}

func (d *door) login(ctx context.Context, in *loginInput) (*tokenReply, error) {
	r := api.RequestOf(ctx)
	if err := d.server.LoginAllowed(ctx, r); err != nil {
		return nil, err
	}
	switch {
	case in.JSON.Value.Username == "":
		return nil, missing("username")
	case in.JSON.Value.Password == "":
		return nil, missing("password")
	}
	grant, err := d.server.Sessions.Login(ctx, in.JSON.Value.Username, in.JSON.Value.Password, r.Address)
	return tokens(grant), err
}

func (d *door) refresh(ctx context.Context, in *refreshInput) (*tokenReply, error) {
	if in.JSON.Value.RefreshToken == "" {
		return nil, missing("refresh_token")
	}
	grant, err := d.server.Sessions.Refresh(ctx, in.JSON.Value.RefreshToken)
	return tokens(grant), err
}

func tokens(g control.Grant) *tokenReply {
	return &tokenReply{Body: accessTokenResponse{
		AccessToken: g.Access, TokenType: "bearer", RefreshToken: g.Refresh, ExpiresIn: int64(g.ExpiresIn.Seconds()),
	}}
}

func (d *door) logout(ctx context.Context, _ *noInput) (*noReply, error) {
	return &noReply{}, d.server.Sessions.Logout(ctx, api.RequestOf(ctx).Actor)
}

func (d *door) product(context.Context, *noInput) (*productReply, error) {
	p := d.server.Product
	return &productReply{
		Body: installedProductInfo{Name: p.Name, Copyright: p.Copyright, Version: p.Version, BuildDate: p.BuildDate, Role: p.Role},
	}, nil
}

// missing makes the error for a member or parameter that must be there.
func missing(name string) error {
	return job.Errorf(job.Invalid, job.WordMissingField, "%s is required", name)
}
