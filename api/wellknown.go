package api

import (
	"encoding/base64"
	"net/http"

	"github.com/gin-gonic/gin"
)

// jwk is a public key as RFC 7517 and RFC 8037 write it.
type jwk struct {
	Kind  string `json:"kty"`
	Curve string `json:"crv"`
	X     string `json:"x"`
	ID    string `json:"kid"`
	Use   string `json:"use"`
	Alg   string `json:"alg"`
}

// wellKnownRoutes publish the keys that access tokens are signed with.
func (s *Server) wellKnownRoutes() {
	s.engine.GET("/.well-known/jwks.json", func(c *gin.Context) {
		set := struct {
			Keys []jwk `json:"keys"`
		}{[]jwk{}}
		for _, k := range s.Sessions.Signer.Published() {
			set.Keys = append(set.Keys, jwk{Kind: "OKP", Curve: "Ed25519", X: base64.RawURLEncoding.EncodeToString(k.Key), ID: k.ID, Use: "sig", Alg: "EdDSA"})
		}
		c.Header("Cache-Control", "public, max-age=60") // whoever meets a key that is not there asks again
		c.JSON(http.StatusOK, set)
	})
}
