package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// audience is who may call an operation. The zero value is the narrowest.
type audience uint8

const (
	operators audience = iota // the administrator token only
	reviewers                 // and people, who then see what they may review
	anyone                    // every valid token
	public                    // no token at all
)

const (
	maxToken    = 16 << 10
	refLength   = 8 // 40 bits: a reference names a log line, it opens nothing
	audienceKey = "audience"

	// refAlphabet is Crockford's base 32 in lower case, as in the references that protocols give.
	refAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"
)

type callerKey struct{}

// callerOf returns who calls. The guard has put it there: an operation with an audience but public always has one.
func callerOf(ctx context.Context) *access.Principal {
	p, _ := ctx.Value(callerKey{}).(*access.Principal)
	return p
}

func isOperator(p *access.Principal) bool { return p != nil && p.Kind == access.Operator }

// guard lets an operation run only for its audience. It runs before the body is read.
func (s *Server) guard(hc huma.Context, next func(huma.Context)) {
	who, _ := hc.Operation().Metadata[audienceKey].(audience)
	if who == public {
		next(hc)
		return
	}
	p, err := s.authenticate(hc)
	if err == nil {
		err = admit(who, p)
	}
	if err != nil {
		s.writeProblem(hc, err)
		return
	}
	next(huma.WithValue(hc, callerKey{}, p))
}

// admit says whether a principal belongs to an audience. All who do not are told the same.
func admit(who audience, p *access.Principal) error {
	switch {
	case isOperator(p), who == anyone:
		return nil
	case who == reviewers && p.Kind == access.Person:
		return nil
	}
	return &fault.Error{Op: "api.admit", Kind: fault.Denied, Say: "this token may not do that here",
		Hint: "use the administrator token, or run gatehouse whoami to see what this one may do"}
}

func (s *Server) authenticate(hc huma.Context) (*access.Principal, error) {
	var headers []string
	hc.EachHeader(func(name, value string) {
		if strings.EqualFold(name, "Authorization") {
			headers = append(headers, value)
		}
	})
	token, err := bearer(headers)
	if err != nil {
		return nil, err
	}
	if token.Equal(s.o.AdminToken) {
		return access.OperatorPrincipal(), nil
	}
	p, err := s.o.Identity.Verify(hc.Context(), token)
	if err != nil {
		return nil, s.refuseLogin(hc, err)
	}
	// Nobody but the administrator token's holder is the operator, whatever an implementation returns.
	if p == nil || (p.Kind != access.Person && p.Kind != access.Workload) {
		return nil, s.refuseLogin(hc, errors.New("the verifier returned no person and no workload"))
	}
	return p, nil
}

// bearer reads the one token of a request (RFC 6750 §2.1).
func bearer(headers []string) (access.Secret, error) {
	missing := &fault.Error{Op: "api.bearer", Kind: fault.Unauthenticated, Say: "a token is needed",
		Hint: "send it as Authorization: Bearer <token>: the administrator token, or one of a trusted issuer"}
	if len(headers) != 1 {
		return access.Secret{}, missing
	}
	scheme, token, ok := strings.Cut(headers[0], " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxToken ||
		strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return access.Secret{}, missing
	}
	return access.NewSecret([]byte(token)), nil
}

// refuseLogin gives every bad token the same words and a reference, under which the log has the exact reason. Where the
// verifier could not decide (no keys, locked), it says that instead.
func (s *Server) refuseLogin(hc huma.Context, cause error) error {
	if k := fault.KindOf(cause); k == fault.Unavailable {
		return cause
	}
	if !s.failures.take(s.o.Clock()) {
		return fault.New(fault.Unavailable, "api.refuseLogin", "too many failed authentications: wait a second and try again")
	}
	ref, err := s.reference()
	if err != nil {
		return fault.Wrap(fault.Internal, "api.reference", err, "no randomness")
	}
	err = s.record(&access.Event{Kind: access.EventLoginRefused, Protocol: "api", Peer: hc.RemoteAddr(), Ref: ref, Reason: cause.Error()})
	if err != nil {
		return err
	}
	return &fault.Error{Op: "api.authenticate", Kind: fault.Unauthenticated, Err: cause, Say: fmt.Sprintf(
		"authentication failed (ref %s): run gatehouse whoami, or give this reference to your administrator", ref)}
}

func (s *Server) reference() (string, error) {
	b := make([]byte, refLength)
	s.randMu.Lock()
	defer s.randMu.Unlock()
	if _, err := io.ReadFull(s.o.Rand, b); err != nil {
		return "", err
	}
	for i := range b {
		b[i] = refAlphabet[b[i]&31]
	}
	return string(b), nil
}

// record puts an event in the audit log and waits until it is kept. Without it, nothing may happen.
func (s *Server) record(e *access.Event) error {
	seq, err := s.o.Recorder.Append(e)
	if err == nil {
		err = s.o.Recorder.Barrier(seq)
	}
	if err == nil || fault.KindOf(err) != fault.Internal {
		return err
	}
	return fault.Wrap(fault.Unavailable, "api.record", err, "the audit log cannot be written: the gateway's log says why")
}

// writeProblem answers before an operation's handler runs.
func (s *Server) writeProblem(hc huma.Context, err error) {
	p := problemOf(err)
	s.logProblem(hc.Context(), hc.Method(), hc.URL().Path, p.Status, err)
	if p.Status == http.StatusUnauthorized {
		hc.SetHeader("WWW-Authenticate", "Bearer")
	}
	hc.SetHeader("Content-Type", p.ContentType(""))
	hc.SetStatus(p.Status)
	_ = s.api.Marshal(hc.BodyWriter(), "application/json", p)
}

// holdsEach reports whether the roles satisfy every list of reviewers. No list means the operator, whom no role makes.
func holdsEach(roles []string, lists [][]string) bool {
	if len(lists) == 0 {
		return false
	}
	for _, list := range lists {
		if !slices.ContainsFunc(list, func(r string) bool { return slices.Contains(roles, r) }) {
			return false
		}
	}
	return true
}

// bucket allows failures per second, with a burst: each failed login costs a record in the audit log, and strangers must
// not be able to fill it.
type bucket struct {
	mu     sync.Mutex
	tokens float64
	at     time.Time
}

const (
	failuresPerSecond = 10
	failuresBurst     = 50
)

func (b *bucket) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at.IsZero() {
		b.tokens = failuresBurst
	} else if d := now.Sub(b.at); d > 0 {
		b.tokens = min(failuresBurst, b.tokens+d.Seconds()*failuresPerSecond)
	}
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
