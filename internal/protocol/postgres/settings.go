package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/sql/pgsql"
)

// settings are what a session's backends are set to beyond the defaults of their role, by name in lower case.
type settings map[string]string

// digest tells settings apart; "" is no settings.
func (t settings) digest() string {
	if len(t) == 0 {
		return ""
	}
	text, _ := json.Marshal(t) // sorted by name; strings always marshal
	sum := sha256.Sum256(text)
	return string(sum[:])
}

// settingsText sets every member of its parameter, a JSON object, as a setting of the session.
const settingsText = "select pg_catalog.count(pg_catalog.set_config(x.key, x.value, false)) from pg_catalog.json_each_text($1::pg_catalog.json) x"

// replayedNames are the settings that a session may carry from one backend to the next: besides startupParams, those that
// change only how its own statements run.
var replayedNames = []string{
	"work_mem", "jit", "row_security", "idle_session_timeout", "transaction_timeout", "default_transaction_deferrable",
	"synchronous_commit", "enable_seqscan", "enable_indexscan", "enable_bitmapscan", "enable_hashjoin", "enable_mergejoin", "enable_nestloop",
	"plan_cache_mode", "default_text_search_config", "xmloption", "xmlbinary", "lc_messages", "gin_fuzzy_search_limit",
}

func replayed(name string) bool {
	return slices.Contains(startupParams, name) || slices.Contains(replayedNames, name)
}

// lower folds a setting's name as the server does.
func lower(name string) string { return strings.ToLower(name) }

// begin takes up what the client asked for when it connected, and who it is where the backend is to be told.
func (s *session) begin() {
	s.base = runtimeParams(s.startup)
	if own := s.g.Connection().Propagate; own != "" {
		s.base[lower(own)] = s.g.Caller().Principal.ID()
	}
	s.use(maps.Clone(s.base))
}

// use makes t the settings of the session, and who calls one of them.
func (s *session) use(t settings) {
	if own := lower(s.g.Connection().Propagate); own != "" {
		t[own] = s.base[own]
	}
	s.settings, s.want, s.under = t, t.digest(), ""
}

// keepsPropagated refuses a statement that would change the setting that tells the backend who calls.
func (s *session) keepsPropagated(a *pgsql.Analysis) error {
	own := lower(s.g.Connection().Propagate)
	if own == "" {
		return nil
	}
	touches := slices.Contains(a.SetByCall, own) || slices.Contains(a.SetByCall, "")
	if a.Set != nil && a.Set.Kind != pgsql.SetShow {
		touches = touches || a.Set.Name == own
	}
	if !touches {
		return nil
	}
	return sayCode("42501", fault.Denied, "permission denied: the setting "+own+" tells the database who calls, and belongs to the gateway", "")
}

// apply sets a backend between transactions to what the session needs, where it is set to anything else.
func (s *session) apply(ctx context.Context) error {
	want := s.want
	if s.m.applied == want {
		return nil
	}
	s.m.raw = nil
	if s.m.applied != "" {
		if _, err := s.own(ctx, ownUnset, msgSync); err != nil {
			return err
		}
		s.m.applied = ""
	}
	if want == "" {
		return nil
	}
	if err := s.set(ctx, s.settings, msgSync); err != nil {
		return err
	}
	s.m.applied = want
	return nil
}

// set sets settings with a statement of the gateway's own.
func (s *session) set(ctx context.Context, t settings, end byte) error {
	text, err := json.Marshal(t)
	if err != nil {
		return fault.Wrap(fault.Internal, "postgres.set", err, "")
	}
	_, err = s.ownBound(ctx, ownSettings, appendBindText(appendParse(nil, ownName, settingsText), ownName, ownName, text), end)
	s.heard()
	var e *coded
	if errors.As(err, &e) && e.err.Kind == fault.NotFound {
		return sayCode("22023", fault.Malformed, "the database refused a setting that was given when connecting", "Check the parameters of the connection, such as options, timezone, datestyle and search_path.")
	}
	return err
}

// owes notes what a RESET that was done has taken away: settings that the client gave when it connected outlive it, as they
// do where the server itself was given them.
func (s *session) owes(a *pgsql.Analysis) {
	set := a.Set
	if set == nil || set.Local {
		return
	}
	switch {
	case (set.Kind == pgsql.SetReset || set.Kind == pgsql.SetDiscard) && set.Name == "all":
		s.owed = maps.Clone(s.base)
	case set.Kind == pgsql.SetReset, set.Kind == pgsql.SetValue && set.Value == nil:
		if v, ok := s.base[set.Name]; ok {
			if s.owed == nil {
				s.owed = settings{}
			}
			s.owed[set.Name] = v
		}
	}
}

// restore sets again what a RESET took away, and who calls, before the next statement is judged: what ran may have changed
// that.
func (s *session) restore(ctx context.Context, end byte) error {
	due := s.owed
	if own := lower(s.g.Connection().Propagate); own != "" && s.dirty {
		due = maps.Clone(due)
		if due == nil {
			due = settings{}
		}
		due[own] = s.base[own]
	}
	if len(due) > 0 {
		if err := s.set(ctx, due, end); err != nil {
			return err
		}
		s.dirty = true // it is not set as it was when it was leased
	}
	s.owed, s.quietly = nil, false
	s.tell()
	return nil
}

// hear takes up one ParameterStatus.
func (s *session) hear(body []byte) (name, value string) {
	sc := scan{b: body}
	name, value = string(sc.text()), string(sc.text())
	if !sc.bad {
		s.m.params[name] = value
		s.state.report(name, value)
	}
	return name, value
}

// reported reports whether the client is told of a ParameterStatus as it comes: not where it says what a RESET took away,
// which is set again before anything else happens.
func (s *session) reported(body []byte) bool {
	name, value := s.hear(body)
	if _, mine := s.base[lower(name)]; mine && s.quietly {
		return false
	}
	s.told[name] = value
	return true
}

// tell tells the client which parameters are not what it was told last.
func (s *session) tell() {
	if s.told == nil { // it has not been welcomed yet
		return
	}
	for _, name := range slices.Sorted(maps.Keys(s.m.params)) {
		if value := s.m.params[name]; s.told[name] != value {
			s.told[name] = value
			s.out = appendParameter(s.out, name, value)
		}
	}
}

func appendParameter(dst []byte, name, value string) []byte {
	dst, at := openFrame(dst, ansParameterStatus)
	dst = append(append(dst, name...), 0)
	return closeFrame(append(append(dst, value...), 0), at)
}

// Bounds of the greetings that are remembered.
const (
	greetingAge  = time.Minute
	maxGreetings = 1024
)

// greetings are the parameters that a server reports at login, by connection and by what the client asked for: a client that
// says nothing needs no backend. What is out of date by the time a backend is leased is put right then.
type greetings struct {
	clock func() time.Time
	mu    sync.Mutex
	known map[string]greeting
}

type greeting struct {
	params map[string]string
	at     time.Time
}

func (g *greetings) get(key string) (map[string]string, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	k, ok := g.known[key]
	age := g.clock().Sub(k.at)
	return maps.Clone(k.params), ok && age >= 0 && age < greetingAge
}

func (g *greetings) put(key string, params map[string]string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) >= maxGreetings {
		clear(g.known)
	}
	g.known[key] = greeting{maps.Clone(params), g.clock()}
}

// greeting returns the parameters for the client's welcome. The first of its kind needs a backend for that.
func (s *session) greeting(ctx context.Context) (map[string]string, error) {
	key := backendKey(s.g) + "\x00" + s.base.digest()
	if params, ok := s.p.greetings.get(key); ok {
		return params, nil
	}
	if err := s.lease(ctx); err != nil {
		return nil, err
	}
	params := maps.Clone(s.m.params)
	s.p.greetings.put(key, params)
	return params, s.between(ctx)
}

// backendKey tells backends apart that the same role sees the same objects in.
func backendKey(g *gate.Gate) string {
	d := g.Connection()
	return d.Name + "\x00" + d.Address + "\x00" + d.Database + "\x00" + d.Credential.User
}
