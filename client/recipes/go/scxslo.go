// Package scxslo sheds load by the node's signal in front of a net/http handler. Standard library only, Go 1.19 and
// newer. Copy it into your project:
//
//	shedder := scxslo.New("") // SCX_SLO_ENDPOINT, or the Service of the cluster
//	defer shedder.Close()
//	http.ListenAndServe(":8080", shedder.Middleware(handler))
//
// Without the signal nothing is shed: a level that is not confirmed for a second halves every second, and then is nothing.
package scxslo

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/rand"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	service      = "http://scx-slo-signal.scx-slo-system.svc:7080"
	ttl          = time.Second
	halfLife     = time.Second
	maxShed      = 0.95
	wait         = 400 * time.Millisecond // how long the signal may wait for a change
	pause        = 200 * time.Millisecond
	timeout      = wait + time.Second // for a whole answer
	maxBodyBytes = 8192
)

var health = regexp.MustCompile(`^/(healthz|readyz|livez|metrics)(/|$)`)

// known is what the signal said last.
type known struct {
	share      float64
	retryAfter time.Duration
	confirmed  time.Time
}

// Shedder follows GET /v1/level until Close.
type Shedder struct {
	// Status of a rejection, 429 (default) or 503. Set it before the first request.
	Status int
	// Exempt requests are never shed. Default: /healthz, /readyz, /livez, /metrics.
	Exempt func(*http.Request) bool

	known  atomic.Pointer[known]
	url    string
	client *http.Client
	cancel context.CancelFunc
}

// New starts to follow the signal at endpoint, "http://HOST:PORT" or "unix:/PATH". Empty: SCX_SLO_ENDPOINT, then the
// Service of the cluster.
func New(endpoint string) *Shedder {
	if endpoint == "" {
		endpoint = os.Getenv("SCX_SLO_ENDPOINT")
	}
	if endpoint == "" {
		endpoint = service
	}
	transport := &http.Transport{MaxIdleConns: 1, MaxResponseHeaderBytes: maxBodyBytes}
	if path := strings.TrimPrefix(endpoint, "unix:"); path != endpoint {
		endpoint = "http://localhost"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Shedder{
		Status: http.StatusTooManyRequests,
		Exempt: func(r *http.Request) bool { return health.MatchString(r.URL.Path) },
		url:    endpoint + "/v1/level?wait=" + strconv.FormatInt(wait.Milliseconds(), 10),
		client: &http.Client{
			Transport: transport,
			// A redirect is no answer of the signal.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		cancel: cancel,
	}
	s.known.Store(&known{})
	go s.follow(ctx)
	return s
}

// Close stops following; the level is gone soon after.
func (s *Shedder) Close() { s.cancel() }

// Level is the share of requests to reject now, 0 .. 0.95.
func (s *Shedder) Level() float64 {
	k := s.known.Load()
	share := math.Min(maxShed, k.share)
	if beyond := time.Since(k.confirmed) - ttl; beyond > 0 {
		share *= math.Exp2(-beyond.Seconds() / halfLife.Seconds())
	}
	if share < 0.01 {
		return 0
	}
	return share
}

// Middleware rejects the share of requests that Level says, before next sees them.
func (s *Shedder) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rand.Float64() >= s.Level() || s.Exempt(r) {
			next.ServeHTTP(w, r)
			return
		}
		seconds := math.Ceil(s.known.Load().retryAfter.Seconds() * (0.75 + rand.Float64()/2))
		h := w.Header()
		h.Set("Retry-After", strconv.Itoa(int(math.Min(15, math.Max(1, seconds)))))
		h.Set("X-Envoy-Ratelimited", "1")
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(s.Status)
	})
}

func (s *Shedder) follow(ctx context.Context) {
	etag, failures := "", 0
	for ctx.Err() == nil {
		var err error
		if etag, err = s.ask(ctx, etag); err != nil {
			failures = int(math.Min(3, float64(failures+1)))
		} else {
			failures = 0
		}
		sleep := time.Duration(float64(pause) * math.Exp2(float64(failures)) * (0.9 + rand.Float64()/5))
		select {
		case <-ctx.Done():
		case <-time.After(sleep):
		}
	}
}

// ask returns the tag of what it stored; with an error, none.
func (s *Shedder) ask(ctx context.Context, etag string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return "", err
	}
	if etag != "" {
		request.Header.Set("If-None-Match", etag)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBodyBytes+1))
	if err != nil {
		return "", err
	}
	next := *s.known.Load()
	switch {
	case response.StatusCode == http.StatusNotModified && etag != "":
	case response.StatusCode == http.StatusOK && len(body) <= maxBodyBytes:
		var level struct {
			Shed         *float64 `json:"shed"`
			RetryAfterMs float64  `json:"retry_after_ms"`
		}
		if err := json.Unmarshal(body, &level); err != nil {
			return "", err
		}
		if level.Shed == nil || *level.Shed < 0 || *level.Shed > 1 {
			return "", errors.New("scxslo: no share in the answer")
		}
		next.share = *level.Shed
		next.retryAfter = time.Duration(math.Min(60_000, math.Max(0, level.RetryAfterMs))) * time.Millisecond
	default:
		return "", errors.New("scxslo: not a level: " + response.Status)
	}
	next.confirmed = time.Now()
	s.known.Store(&next)
	return response.Header.Get("ETag"), nil
}
