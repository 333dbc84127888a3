package fuzzdoors

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// generator makes calls. The same seed makes the same calls.
type generator struct {
	*rand.Rand
	w   *world
	doc *document
	bad map[string]string // tokens
	// calm makes a call that fits the document and what is in the database, as far as the generator can tell.
	calm bool
}

// spoil is true in n of 100 cases, and never while calm.
func (g *generator) spoil(n int) bool { return !g.calm && g.chance(n) }

// one picks.
func one[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }

// chance is true in n of 100 cases.
func (g *generator) chance(n int) bool { return g.IntN(100) < n }

// nasty are texts that break what was written without thinking of them.
var nasty = []string{
	"", " ", "0", "-1", "null", "true", "NaN", "1e309", "9223372036854775808", "-9223372036854775809", "0x10", "1_000", "00000000000000000000001",
	"'", `"`, "' OR 1=1 --", "$(id)", "`id`", "${jndi:ldap://x}", "%s%n%d", "%00", "\x00", "a\x00b", "\xff\xfe", "\xc0\xaf", "\xed\xa0\x80", "\u202e\u2066", "é\u0301", "💥",
	"\r\nX-Injected: 1", "\n", "../../../../etc/passwd", "..\\..\\x", "/etc/passwd", "C:\\x", "file:///etc/passwd", "a/../b", ".", "..", "//", "a//b", "%2e%2e%2f", "..%2f",
	"*", "%", "_", "\\,", "|", "(((((", ",,,,", "a,b|c", "Jan 32, 2026 9:00:00 AM", "2026-13-45T99:99:99Z", "0001-01-01T00:00:00Z", "99999-01-01", "P1Y", "-PT1S", "PT1S",
	"* * * * *", "0 0 31 2 *", "99 99 99 99 99 99", "America/New_York", "Mars/Base", "http://127.0.0.1/", "https://a.example/", "gopher://x", "<x>", "<!ENTITY a 'b'>", "&amp;", "[]", "{}",
	"000000000000000000000000", "ffffffffffffffffffffffff", "69B920710000000000000000", "69b9207100000000000000zz",
}

// word makes a text.
func (g *generator) word() string {
	if g.calm {
		return fmt.Sprint("w", g.IntN(1000))
	}
	switch g.IntN(10) {
	case 0, 1, 2:
		return one(g, nasty...)
	case 3:
		return strings.Repeat(one(g, "x", "é", "\x00", "💥", "%", "../"), one(g, 1, 63, 64, 255, 256, 1000, 5000))
	case 4:
		b := make([]byte, g.IntN(40))
		for i := range b {
			b[i] = byte(g.UintN(256))
		}
		return string(b)
	case 5, 6:
		return g.id("any")
	}
	return fmt.Sprint("w", g.IntN(1000))
}

// id takes an id of the kind, or of any kind.
func (g *generator) id(kind string) string {
	if pool := g.w.pool[kind]; len(pool) > 0 && !g.spoil(10) {
		return one(g, pool...)
	}
	var all []string
	for _, kind := range []string{"jobconfigs", "jobs", "accounts", "users", "keys", "records", "destinations", "names", "any"} {
		all = append(all, g.w.pool[kind]...)
	}
	return one(g, all...)
}

var placeholder = regexp.MustCompile(`\{[^}]+\}`)

// kindOf guesses what kind of id stands in a place.
func kindOf(path, name string) string {
	name = strings.ToLower(name)
	switch {
	case strings.Contains(name, "key"):
		return "keys"
	case strings.Contains(name, "record"):
		return "records"
	case strings.Contains(name, "destination"):
		return "destinations"
	case strings.Contains(name, "name"):
		return "names"
	case strings.Contains(name, "user"):
		return "users"
	}
	for _, part := range strings.Split(path, "/") {
		switch part {
		case "jobconfigs", "jobs", "users", "destinations":
			return part
		case "account":
			return "accounts"
		case "apijob", "services", "jobdetail", "jobactions", "pipelinejobs", "mttask", "job":
			return "jobconfigs"
		case "activityLog", "errorLog":
			return "jobs"
		}
	}
	return "any"
}

// target makes path and query of an operation's call.
func (g *generator) target(o operation) string {
	path := placeholder.ReplaceAllStringFunc(o.path, func(at string) string {
		value := g.id(kindOf(o.path, strings.Trim(at, "{}")))
		if g.spoil(25) {
			value = g.word()
		}
		if escaped := url.PathEscape(value); escaped != "" {
			return escaped
		}
		return "x"
	})
	if g.spoil(3) {
		path = g.trick(path)
	}
	query := url.Values{}
	for _, p := range o.parameters {
		if p.In != "query" || !g.chance(35) {
			continue
		}
		for range 1 + g.IntN(1+g.IntN(2)) {
			query.Add(p.Name, g.parameter(o, p))
		}
	}
	if g.spoil(3) {
		query.Add(g.word(), g.word())
	}
	raw := query.Encode()
	if g.spoil(2) {
		raw += one(g, "&%zz", "&a=%", ";", "&=", "&&&", "&a=%00", "&"+strings.Repeat("a=b&", 2000))
	}
	if raw != "" {
		path += "?" + raw
	}
	return path
}

// trick makes a path that somebody might take for another one.
func (g *generator) trick(path string) string {
	at := strings.LastIndexByte(path, '/')
	return path[:at] + one(g, "//", "/./", "/%2e%2e/", "/%2E%2E%2F", "/..%2f", "/%00/", "/%c0%af", "/;x=y/", "/%252e%252e/", "/"+strings.Repeat("a", 8000)+"/", "/\\..\\") + path[at+1:]
}

func (g *generator) parameter(o operation, p parameter) string {
	if g.spoil(20) {
		return g.word()
	}
	switch kind := text(p.Schema["type"]); {
	case kind == "integer" || kind == "number":
		return fmt.Sprint(one(g, 0, 1, 2, 25, 1000, 1001, -1, g.IntN(100)))
	case kind == "boolean":
		return one(g, "true", "false")
	case strings.HasSuffix(strings.ToLower(p.Name), "id"):
		return g.id(kindOf(o.path, p.Name))
	}
	if enum := array(p.Schema["enum"]); len(enum) > 0 {
		return fmt.Sprint(one(g, enum...))
	}
	return one(g, "name", "id", "status", "asc", "desc", "eq", "like", "in", "a", "name,id", "eq|ne", "(eq,ne)", "2026-03-17T09:00:00Z", "1773740458", g.word())
}

// value makes a value of a schema, or one that is none.
func (g *generator) value(o operation, name string, schema map[string]any, depth int) any {
	schema = object(g.doc.resolve(schema))
	if g.spoil(6) || depth > 8 {
		return g.wrong(depth)
	}
	if enum := array(schema["enum"]); len(enum) > 0 {
		return one(g, enum...)
	}
	for _, some := range []string{"oneOf", "anyOf", "allOf"} {
		if list := array(schema[some]); len(list) > 0 {
			return g.value(o, name, object(one(g, list...)), depth+1)
		}
	}
	kind := text(schema["type"])
	if kinds := array(schema["type"]); len(kinds) > 0 {
		kind = text(one(g, kinds...))
	}
	switch kind {
	case "object":
		out := map[string]any{}
		for property, s := range object(schema["properties"]) {
			if g.chance(55) {
				out[property] = nil // made below, in an order that does not change
			}
			_ = s
		}
		for _, property := range sorted(out) {
			out[property] = g.value(o, property, object(object(schema["properties"])[property]), depth+1)
		}
		if more, is := schema["additionalProperties"].(map[string]any); is && g.chance(60) {
			out[g.word()] = g.value(o, name, more, depth+1)
		}
		if g.spoil(5) {
			out[g.word()] = g.wrong(depth)
		}
		return out
	case "array":
		out := []any{}
		for range g.IntN(4) {
			out = append(out, g.value(o, name, object(schema["items"]), depth+1))
		}
		return out
	case "integer":
		return one[any](g, 0, 1, 2, 5, 60, -1, g.IntN(10_000), 1<<31, json.Number("9223372036854775807"))
	case "number":
		return one[any](g, 0, 0.5, -1.5, json.Number("1e300"))
	case "boolean":
		return g.chance(50)
	case "null":
		return nil
	}
	return g.member(o, name)
}

// member makes a text that fits the name of its place.
func (g *generator) member(o operation, name string) string {
	lower := strings.ToLower(name)
	switch {
	case g.spoil(15):
		return g.word()
	case strings.Contains(lower, "password"):
		return one(g, password, "wrong", "another-password-1")
	case strings.Contains(lower, "username"):
		return one(g, "admin", "gina", "olga", "nobody")
	case strings.Contains(lower, "recordid") || lower == "id" || strings.HasSuffix(lower, "id"):
		return g.id(kindOf(o.path, name))
	case strings.Contains(lower, "cron"):
		return one(g, "0 3 * * *", "0 0 3 * * ? *", "*/5 * * * * ?")
	case strings.Contains(lower, "url"):
		return one(g, "https://a.example/x", "http://127.0.0.1/")
	case strings.Contains(lower, "name"):
		return one(g, g.id("names"), g.id("keys"), fmt.Sprint("new ", g.IntN(1000)))
	case strings.Contains(lower, "zone"):
		return one(g, "UTC", "Europe/Vienna")
	}
	return one(g, "ACCOUNT", "JOBCONFIG", "start", "stop", "status", "MTT", "cron", "interval", "15m", "failed_step", "2026-03-18T02:00:00.000Z", fmt.Sprint("w", g.IntN(1000)))
}

// wrong makes a value of no type in particular.
func (g *generator) wrong(depth int) any {
	switch g.IntN(8) {
	case 0:
		return nil
	case 1:
		return json.Number(one(g, "0", "-0", "1e400", "123456789012345678901234567890", "0.1", "-1"))
	case 2:
		return g.chance(50)
	case 3:
		return []any{g.word()}
	case 4:
		return map[string]any{g.word(): g.word()}
	case 5:
		if depth < 3 {
			return []any{g.wrong(depth + 1), g.wrong(depth + 1)}
		}
	}
	return g.word()
}

// jsonBody makes a body of a schema and, sometimes, spoils it.
func (g *generator) jsonBody(o operation, schema map[string]any) []byte {
	body, err := json.Marshal(g.value(o, "", schema, 0))
	if err != nil { // a number that JSON does not have
		body = []byte(`{"n":1e400}`)
	}
	if !g.spoil(25) {
		return body
	}
	switch g.IntN(14) {
	case 0:
		return body[:g.IntN(len(body)+1)]
	case 1:
		if len(body) > 0 {
			body[g.IntN(len(body))] ^= byte(1 + g.IntN(255))
		}
		return body
	case 2:
		return append(body, body...)
	case 3:
		return []byte(strings.Replace(string(body), ",", ","+`"a":1,"a":2,`, 1))
	case 4:
		n := one(g, 100, 9_999, 10_001, 100_000)
		return []byte(`{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}")
	case 5:
		n := one(g, 100, 10_001, 50_000)
		return []byte(strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n))
	case 6:
		return append([]byte("\xef\xbb\xbf"), body...) // a byte order mark
	case 7:
		return utf16(string(body))
	case 8:
		return []byte(one(g, "", " ", "null", "[]", `""`, "0", "true", "{", "}", "{}", `{"":""}`, "\x00", "NaN", `{"a":01}`, `{'a':1}`, `{"a":1,}`, `//x`, `{"a":"`+"\x01"+`"}`, `{"a":"\ud800"}`))
	case 9:
		return []byte(`{"name":"` + strings.Repeat("x", 1<<20) + `"}`)
	case 10:
		if g.chance(20) {
			return []byte(`{"name":"` + strings.Repeat("x", 10<<20) + `"}`)
		}
		return []byte(`{"a":"\u0000"}`)
	case 11:
		return g.xmlBody(o, "x")
	case 12:
		return []byte("a=b&c=d")
	}
	return []byte(g.word())
}

func utf16(s string) []byte {
	out := []byte{0xff, 0xfe}
	for _, c := range s {
		out = append(out, byte(c), byte(c>>8))
	}
	return out
}

// xmlBody makes a body for doors that speak XML, and sometimes one that attacks the parser.
func (g *generator) xmlBody(o operation, root string) []byte {
	if g.spoil(50) {
		switch g.IntN(9) {
		case 0:
			return []byte(`<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><` + root + `><name>&c;</name></` + root + `>`)
		case 1:
			return []byte(`<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><` + root + `><username>&a;</username></` + root + `>`)
		case 2:
			return []byte(strings.Repeat("<a>", one(g, 100, 10_001, 100_000)))
		case 3:
			n := one(g, 100, 10_001, 50_000)
			return []byte("<" + root + ">" + strings.Repeat("<a>", n) + strings.Repeat("</a>", n) + "</" + root + ">")
		case 4:
			return []byte(`<?xml version="1.0" encoding="` + one(g, "UTF-16", "ISO-8859-1", "x", "UTF-7") + `"?><` + root + "><name>\xe9</name></" + root + ">")
		case 5:
			return utf16("<" + root + "/>")
		case 6:
			return []byte(`<` + root + ` ` + strings.Repeat(`a="b" `, 10_000) + `/>`)
		case 7:
			return []byte("<" + root + "><![CDATA[" + strings.Repeat("]]", 100) + "]]></" + root + "><b/>")
		}
		return []byte(one(g, "<", "<a", "<a></b>", "<a>&x;</a>", "<a>\x00</a>", "<?xml?>", "<a/><b/>", "text", "<!-- -->", "<a>\xff</a>"))
	}
	var b strings.Builder
	b.WriteString("<" + root + ">")
	for range g.IntN(5) {
		name := one(g, "username", "password", "taskId", "taskName", "taskType", "name", "interval", "startTime", "scheduleId", "callbackURL")
		b.WriteString("<" + name + ">" + xmlText.Replace(g.member(o, name)) + "</" + name + ">")
	}
	b.WriteString("</" + root + ">")
	return []byte(b.String())
}

var xmlText = strings.NewReplacer("&", "&amp;", "<", "&lt;")

// headers spoils the headers of a call.
func (g *generator) headers(r *http.Request) {
	if g.calm {
		return
	}
	if g.chance(6) {
		r.Header["Content-Type"] = []string{one(g, "", "text/plain", "application/xml", "application/json; charset=utf-16", "multipart/form-data", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "application/octet-stream", "application/json, text/xml", ";;;", "\xff", "application/"+strings.Repeat("j", 5000))}
	}
	if g.chance(4) {
		r.Header["Accept"] = []string{one(g, "", "application/xml", "text/html", "*/*;q=0", "image/png", ";;;", "text/xml, application/json")}
	}
	for _, name := range []string{"Prefer", "If-Match", "If-None-Match", "Range", "Idempotency-Key", "X-Request-Id", "Content-Encoding", "Traceparent", "Last-Event-ID", "X-Forwarded-For", "X-HTTP-Method-Override", "Content-Digest", "Expect"} {
		if g.chance(2) {
			r.Header[http.CanonicalHeaderKey(name)] = []string{one(g, g.word(), "dates=rfc3339", `"1"`, "*", "bytes=0-1", "bytes=5-", "bytes=-1", "bytes=0-0,1-1", "gzip", "DELETE", "sha-256=:AAAA:")}
		}
	}
}

// basicOf makes Basic credentials.
func (g *generator) basicOf() string {
	return "Basic " + one(g, base64.StdEncoding.EncodeToString([]byte(g.word()+":"+g.word())), base64.StdEncoding.EncodeToString([]byte("admin:wrong")), "!!!", "")
}
