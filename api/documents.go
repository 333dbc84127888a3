package api

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"path"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	swaggerfiles "github.com/swaggo/files/v2"

	"waybill/internal/job"
)

// document is the OpenAPI document of a door.
type document struct {
	name string
	api  huma.API
}

//go:embed docs.html
var docsPage []byte

//go:embed docs.js
var docsScript []byte

// documentRoutes serve the documents and the page that shows them. Everything comes out of this binary; the policy
// forbids the page to reach anything else. Swagger UI sets style attributes, hence 'unsafe-inline' for styles only.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (s *Server) documentRoutes() {
	s.engine.GET(
		"/openapi.json",
		s.document(func(d document) ([]byte, error) { return json.Marshal(d.api.OpenAPI()) }, "json"),
	)
	s.engine.GET("/openapi.yaml", s.document(func(d document) ([]byte, error) { return d.api.OpenAPI().YAML() }, "yaml"))
	s.engine.GET("/docs", func(c *gin.Context) { docsFile(c, "docs.html", docsPage) })
	s.engine.GET("/docs/:file", func(c *gin.Context) {
		name := path.Base(c.Param("file"))
		if name == "docs.js" {
			docsFile(c, name, docsScript)
			return
		}
		if text, err := fs.ReadFile(swaggerfiles.FS, name); err == nil && docsAssets[name] {
			docsFile(c, name, text)
			return
		}
		s.noRoute(c)
	})
}

// docsAssets are the files of Swagger UI that the page uses; the others in the package (source maps, variants) are not
// served.
var docsAssets = map[string]bool{"swagger-ui.css": true, "swagger-ui-bundle.js": true, "favicon-32x32.png": true}

func docsFile(c *gin.Context, name string, text []byte) {
	kinds := map[string]string{
		".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".png": "image/png",
	}
	c.Header("Content-Security-Policy", docsPolicy)
	c.Header("Cache-Control", "private, max-age=3600")
	c.Header("Content-Type", kinds[path.Ext(name)])
	http.ServeContent(c.Writer, c.Request, name, time.Time{}, bytes.NewReader(text))
}

// document serves the document of the first door, made once: by then every operation is registered.
func (s *Server) document(render func(document) ([]byte, error), kind string) gin.HandlerFunc {
	text := sync.OnceValues(func() ([]byte, error) {
		if len(s.documents) == 0 {
			return nil, job.Errorf(job.NotFound, WordRouteNotFound, "There is no such route")
		}
		return render(s.documents[0])
	})
	return func(c *gin.Context) {
		body, err := text()
		if err != nil {
			s.Fail(c, err)
			return
		}
		c.Header("Cache-Control", "no-cache")
		c.Header("Content-Type", "application/"+"openapi+"+kind)
		http.ServeContent(c.Writer, c.Request, "openapi."+kind, time.Time{}, bytes.NewReader(body))
	}
}
