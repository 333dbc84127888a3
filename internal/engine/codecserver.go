package engine

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"golang.org/x/time/rate"

	"waybill/internal/job"
)

// CodecServer seals and opens payloads for people who look at workflows with the Web UI or the temporal command, by Temporal's protocol for
// remote codecs: POST .../encode and .../decode.
type CodecServer struct {
	Codec *Codec
	// May tells who makes a call; an error of code Unauthenticated or Forbidden is why they may not.
	May func(r *http.Request) (user string, err error)
	// Origins are the sites whose pages may call, such as https://temporal.example.com.
	Origins []string
	// Audit is told of calls: at most once a minute for each user and kind of call.
	Audit func(r *http.Request, user, did string)
	Log   *slog.Logger

	mu    sync.Mutex
	users map[string]*codecUser
}

type codecUser struct {
	limit *rate.Limiter
	told  map[string]time.Time
}

// Limits of calls. The Web UI makes one for each event of a history that it shows.
const (
	codecBody    = 16 << 20 // bytes
	codecSigns   = 100_000  // braces, colons and commas in them: a payload of two bytes takes a thousand in memory
	codecRate    = 100      // calls a second of one user
	codecBurst   = 2000
	auditPause   = time.Minute
	preflightAge = "600" // seconds
)

// ServeHTTP is http.Handler's.
func (s *CodecServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	known := origin == "" || slices.Contains(s.Origins, origin)
	if origin != "" && known {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Allow-Methods", "POST")
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Namespace")
		h.Set("Access-Control-Max-Age", preflightAge)
	}
	did := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	switch {
	case !known:
		http.Error(w, "pages of this site may not call; see the setting codec-origins", http.StatusForbidden)
	case r.Method == http.MethodOptions:
		w.WriteHeader(http.StatusNoContent)
	case r.Method != http.MethodPost || did != "encode" && did != "decode":
		http.NotFound(w, r)
	default:
		s.serve(w, r, did)
	}
}

func (s *CodecServer) serve(w http.ResponseWriter, r *http.Request, did string) {
	user, err := s.May(r)
	switch job.CodeOf(err) {
	case "":
	case job.Unauthenticated:
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, message(err), http.StatusUnauthorized)
		return
	case job.Forbidden:
		http.Error(w, message(err), http.StatusForbidden)
		return
	default:
		s.Log.WarnContext(r.Context(), "who calls the codec server can not be told now", "error", err)
		w.Header().Set("Retry-After", "1")
		http.Error(w, "who calls can not be told now", http.StatusServiceUnavailable)
		return
	}
	if !s.allow(r, user, did) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too many calls", http.StatusTooManyRequests)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, codecBody))
	signs := 0
	for _, sign := range []string{"{", ":", ","} {
		signs += bytes.Count(body, []byte(sign))
	}
	switch {
	case errors.As(err, new(*http.MaxBytesError)) || signs > codecSigns:
		http.Error(w, "too many payloads for one call", http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, "the call can not be read", http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	converter.NewPayloadCodecHTTPHandler(forgiving{s.Codec}).ServeHTTP(w, r)
}

// message is what a caller may know of an error.
func message(err error) string {
	var own *job.Error
	if errors.As(err, &own) {
		return own.Message
	}
	return "not allowed"
}

// allow counts a call, and tells of it.
func (s *CodecServer) allow(r *http.Request, user, did string) bool {
	now := time.Now()
	s.mu.Lock()
	u := s.users[user]
	if u == nil {
		u = &codecUser{limit: rate.NewLimiter(codecRate, codecBurst), told: map[string]time.Time{}}
		if s.users == nil {
			s.users = map[string]*codecUser{}
		}
		s.users[user] = u // only those who may get here
	}
	tell := now.Sub(u.told[did]) > auditPause
	if tell {
		u.told[did] = now
	}
	s.mu.Unlock()
	if tell && s.Audit != nil {
		s.Audit(r, user, did)
	}
	return u.limit.AllowN(now, 1)
}

// forgiving leaves what can not be opened as it is, so that the rest of a history shows.
type forgiving struct{ *Codec }

func (f forgiving) Decode(sealed []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(sealed))
	for i, p := range sealed {
		opened, err := f.Codec.Decode(sealed[i : i+1])
		if err != nil {
			out[i] = p
			continue
		}
		out[i] = opened[0]
	}
	return out, nil
}
