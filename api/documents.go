package api

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"
	swaggerfiles "github.com/swaggo/files/v2"

	"waybill/internal/job"
)

// document is the OpenAPI document of a door.
type document struct {
	name  string
	api   huma.API
	serve map[string]gin.HandlerFunc // by format
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
	s.engine.GET("/openapi.json", s.document("json", firstDocument))
	s.engine.GET("/openapi.yaml", s.document("yaml", firstDocument))
	s.engine.GET("/openapi/:file", func(c *gin.Context) {
		name, kind, _ := strings.Cut(c.Param("file"), ".")
		for _, d := range s.documents {
			if serve := d.serve[kind]; d.name == name && serve != nil {
				serve(c)
				return
			}
		}
		s.noRoute(c)
	})
	s.engine.GET("/docs", func(c *gin.Context) { docsFile(c, "docs.html", docsPage) })
	s.engine.GET("/docs/:file", func(c *gin.Context) {
		name := path.Base(c.Param("file"))
		switch {
		case name == "docs.js":
			docsFile(c, name, docsScript)
		case name == "documents.json":
			c.JSON(http.StatusOK, s.listed())
		case docsAssets[name]:
			text, err := fs.ReadFile(swaggerfiles.FS, name)
			if err != nil { // it is in this binary
				panic(err)
			}
			docsFile(c, name, text)
		default:
			s.noRoute(c)
		}
	})
}

// listedDocument is how the docs page is told of a document.
type listedDocument struct {
	Name  string `json:"name"`
	Title string `json:"title"`
	URL   string `json:"url"`
}

func (s *Server) listed() []listedDocument {
	list := make([]listedDocument, 0, len(s.documents))
	for _, d := range s.documents {
		list = append(list, listedDocument{Name: d.name, Title: d.api.OpenAPI().Info.Title, URL: "/openapi/" + d.name + ".json"})
	}
	return list
}

// firstDocument is the document that is shown where none is named.
func firstDocument(s *Server) (document, bool) {
	if len(s.documents) == 0 {
		return document{}, false
	}
	return s.documents[0], true
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

// document serves a document, made once: by the first call every operation is registered.
func (s *Server) document(kind string, which func(*Server) (document, bool)) gin.HandlerFunc {
	text := sync.OnceValues(func() ([]byte, error) {
		d, found := which(s)
		switch {
		case !found:
			return nil, job.Errorf(job.NotFound, WordRouteNotFound, "There is no such route")
		case kind == "yaml":
			return d.api.OpenAPI().YAML()
		}
		return json.Marshal(d.api.OpenAPI())
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
