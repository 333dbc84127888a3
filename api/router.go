package api

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"
	"github.com/gin-gonic/gin"
)

// Tail is the key of a huma.Operation's Metadata that names the path parameter which may hold slashes, such as the key
// of a file. Literal text may stand before and behind it in the path.
const Tail = "waybill.tail"

// router is huma's adapter: humagin's contexts, with the same operations under several base paths, with parameters that
// may hold slashes, and with parameters unescaped exactly once as path (gin takes "+" for a blank).
type router struct {
	engine *gin.Engine
	bases  []string
	tails  map[string]*tail // by method and gin route
	none   gin.HandlerFunc
}

// tail is all operations that share one gin catch-all route: gin has no room for "/files/{key}/versions" next to it.
type tail struct {
	ops  []tailOp
	none gin.HandlerFunc // nothing fits
}

type tailOp struct {
	name, prefix, suffix string
	serve                func(*gin.Context, map[string]string)
}

func (a *router) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.engine.ServeHTTP(w, r) }

// Handle registers the operation under every base.
func (a *router) Handle(op *huma.Operation, handler func(huma.Context)) {
	serve := func(c *gin.Context, tail map[string]string) {
		handler(&callContext{humaContext: humagin.NewContext(op, c), gin: c, tail: tail})
	}
	name, _ := op.Metadata[Tail].(string)
	if name == "" {
		for _, base := range a.bases {
			a.engine.Handle(op.Method, base+ginPath(op.Path), func(c *gin.Context) { serve(c, nil) })
		}
		return
	}
	// "/jobconfigs/{id}/files/entrypoints/{key}" becomes route "/jobconfigs/:id/files/*tail" with prefix "entrypoints/".
	head, suffix, _ := strings.Cut(op.Path, "{"+name+"}")
	root, _ := op.Metadata[TailRoot].(string)
	t := tailOp{name: name, prefix: strings.TrimPrefix(head, root+"/"), suffix: suffix, serve: serve}
	for _, base := range a.bases {
		a.tail(op.Method, base+ginPath(root)+"/*tail", t)
	}
}

// TailRoot is the key of Metadata that names the path up to the catch-all, when literal text follows it.
const TailRoot = "waybill.tailRoot"

func (a *router) tail(method, route string, op tailOp) {
	key := method + " " + route
	if t := a.tails[key]; t != nil {
		t.ops = append(t.ops, op)
		return
	}
	t := &tail{ops: []tailOp{op}, none: a.none}
	a.tails[key] = t
	a.engine.Handle(method, route, t.dispatch)
}

// dispatch picks the operation whose prefix and suffix fit; the one with the most literal text wins.
func (t *tail) dispatch(c *gin.Context) {
	rest := strings.TrimPrefix(c.Param("tail"), "/")
	var best *tailOp
	for i := range t.ops {
		op := &t.ops[i]
		fits := strings.HasPrefix(rest, op.prefix) && strings.HasSuffix(rest, op.suffix) &&
			len(rest) >= len(op.prefix)+len(op.suffix)
		if fits && (best == nil || len(op.prefix)+len(op.suffix) > len(best.prefix)+len(best.suffix)) {
			best = op
		}
	}
	if best == nil || len(rest) == len(best.prefix)+len(best.suffix) {
		t.none(c)
		return
	}
	value := rest[len(best.prefix) : len(rest)-len(best.suffix)]
	best.serve(c, map[string]string{best.name: value})
}

// ginPath turns {param} into :param.
func ginPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// humaContext is a name to embed huma.Context by: the interface has a method Context.
type humaContext = interface{ huma.Context }

// callContext is humagin's context with parameters of ours.
type callContext struct {
	humaContext
	gin  *gin.Context
	tail map[string]string
}

// Unwrap lets humagin.Unwrap find the gin context.
func (c *callContext) Unwrap() huma.Context { return c.humaContext }

// Param gives a path parameter, unescaped.
func (c *callContext) Param(name string) string {
	value, ok := c.tail[name]
	if !ok {
		value = c.gin.Param(name)
	}
	if plain, err := url.PathUnescape(value); err == nil {
		return plain
	}
	return value
}

// Gin gives the gin context of a call: for bodies that are streamed.
func Gin(ctx huma.Context) *gin.Context { return humagin.Unwrap(ctx) }
