package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
)

// The effects as documents write them.
const (
	effectAllow   = "allow"
	effectDeny    = "deny"
	effectApprove = "approve"
	effectMask    = "mask"
)

// Bounds on approvals and masks.
const (
	defaultWait = 15 * time.Minute
	leastWait   = time.Second
	longestWait = 24 * time.Hour
	maxKeep     = 64

	defaultLookups = 100
	mostLookups    = 1_000_000
	defaultWindow  = time.Hour
	shortestWindow = time.Second
	longestWindow  = 720 * time.Hour

	mostMessages   = 100_000 // in a second, or in one window
	shortestRecord = 100 * time.Millisecond
	longestRecord  = 10 * time.Second
)

// rule is a compiled statement.
type rule struct {
	because   access.Because
	effect    string
	actions   actionSet // empty for mask
	resources []pattern
	condition *condition // nil where there is none
	message   string
	reviewers []string // sorted
	wait      access.Duration
	reuse     bool
	mask      access.Mask
	detect    []string
	paths     []access.PathMask   // by path inside of documents, none twice; their masks name no statement yet
	headers   []access.HeaderMask // as paths
	ways      ways
	beyond    *access.ResultLimit // nil where a deny denies outright
	record    access.Recording    // zero where an allow does not say
}

// statementChecker compiles one statement of a policy.
type statementChecker struct {
	*compiler
	report
	path string
	doc  *access.PolicyStatement
	out  *rule
}

func (c *compiler) compileStatement(doc *access.Policy, i int) *rule {
	st := &doc.Statements[i]
	s := statementChecker{compiler: c, report: c.on(doc), path: fmt.Sprintf("statements[%d]", i), doc: st, out: &rule{
		because: access.Because{Policy: doc.Name, Statement: i + 1}, effect: st.Effect, message: st.Message,
		actions: c.vocabulary.none(), reuse: st.Reuse,
	}}
	effects := []string{effectAllow, effectDeny, effectApprove, effectMask}
	if !slices.Contains(effects, st.Effect) {
		s.add(s.path+".effect", "unknown effect %q; one of allow, deny, approve, mask%s", st.Effect, didYouMean(st.Effect, effects))
		return s.out
	}
	s.checkKeys()
	s.compileActions()
	s.compileResources()
	s.compileCondition()
	switch st.Effect {
	case effectApprove:
		s.compileApproval()
	case effectMask:
		s.compileMask()
	case effectDeny:
		s.compileBeyond()
	case effectAllow:
		s.compileRecord()
	}
	return s.out
}

// checkKeys reports keys that do not go with the effect: they would be rules that silently do nothing.
func (s *statementChecker) checkKeys() {
	st := s.doc
	for _, k := range []struct {
		key     string
		present bool
		effects []string
	}{
		{"actions", len(st.Actions) > 0, []string{effectAllow, effectDeny, effectApprove}},
		{"message", st.Message != "", []string{effectDeny, effectApprove}},
		{"reviewers", len(st.Reviewers) > 0, []string{effectApprove}},
		{"expires", st.Expires != 0, []string{effectApprove}},
		{"reuse", st.Reuse, []string{effectApprove}},
		{"detect", len(st.Detect) > 0, []string{effectMask}},
		{"with", st.With != nil, []string{effectMask}},
		{"fields", len(st.Fields) > 0, []string{effectMask}},
		{"headers", len(st.Headers) > 0, []string{effectMask}},
		{"in", st.In != "", []string{effectMask}},
		{"beyond", st.Beyond != nil, []string{effectDeny}},
		{"allow_lookup", st.AllowLookup, []string{effectMask}},
		{"record", st.Record != nil, []string{effectAllow}},
		{"lookups", st.Lookups != nil, []string{effectMask}},
	} {
		if k.present && !slices.Contains(k.effects, st.Effect) {
			s.add(s.path+"."+k.key, "%s does not go with effect %s (only with %v)", k.key, st.Effect, k.effects)
		}
	}
	if len(st.Actions) == 0 && st.Effect != effectMask {
		s.add(s.path+".actions", "effect %s needs actions", st.Effect)
	}
	if len(st.Resources) == 0 && len(st.Detect) == 0 {
		s.add(s.path+".resources", "effect %s needs resources; [\"*\"] means all", st.Effect)
	}
}

func (s *statementChecker) compileActions() {
	for i, name := range s.doc.Actions {
		if len(name) > maxPattern {
			s.add(fmt.Sprintf("%s.actions[%d]", s.path, i), "an action is longer than %d bytes", maxPattern)
			continue
		}
		p := newPattern(name)
		if s.vocabulary.match(p, s.doc.Effect, s.out.actions) > 0 || s.stored && s.closeFor(p) {
			continue
		}
		if p.literal() {
			s.add(fmt.Sprintf("%s.actions[%d]", s.path, i), "unknown action %q%s", name, didYouMean(name, s.vocabulary.names))
			continue
		}
		s.add(fmt.Sprintf("%s.actions[%d]", s.path, i), "%q matches no action", name)
	}
}

func (s *statementChecker) compileResources() {
	for i, text := range s.doc.Resources {
		path := fmt.Sprintf("%s.resources[%d]", s.path, i)
		p := newPattern(text)
		p.rootless = slices.ContainsFunc(s.vocabulary.rootless, func(prefix string) bool { return strings.HasPrefix(text, prefix) })
		if say := checkResource(p); say != "" {
			s.add(path, "%s", say)
			continue
		}
		s.out.resources = append(s.out.resources, p)
	}
}

func (s *statementChecker) compileCondition() {
	if s.doc.Condition == "" {
		return
	}
	path := s.path + ".condition"
	cond, found := s.conditions.compile(s.doc.Condition)
	if found != nil {
		s.condition(path, found)
		return
	}
	if s.doc.Effect == effectAllow && cond.reads&readsText != 0 {
		s.add(path, "an allow may not depend on action.text: patterns over text can only tighten; use them in deny or approve")
	}
	s.out.condition = cond
}

func (s *statementChecker) compileApproval() {
	s.out.wait = s.doc.Expires
	if s.out.wait == 0 {
		s.out.wait = access.Duration(s.defaults.Wait)
	}
	if d := time.Duration(s.out.wait); d < leastWait || d > longestWait {
		s.add(s.path+".expires", "an approval may wait from %s to %s", leastWait, longestWait)
	}
	for i, name := range s.doc.Reviewers {
		if !s.roleNames[name] {
			s.add(fmt.Sprintf("%s.reviewers[%d]", s.path, i), "there is no role %q%s", name, didYouMean(name, keys(s.roleNames)))
		}
	}
	s.out.reviewers = slices.Clone(s.doc.Reviewers)
	slices.Sort(s.out.reviewers)
	s.out.reviewers = slices.Compact(s.out.reviewers)
}

// compileBeyond compiles what a deny lets through before it denies.
func (s *statementChecker) compileBeyond() {
	b := s.doc.Beyond
	if b == nil {
		return
	}
	path, per := s.path+".beyond", time.Duration(b.Per)
	if b.Rows < 0 || b.Bytes < 0 || b.Rows == 0 && b.Bytes == 0 {
		s.add(path, "beyond needs a number of rows or of bytes, from 1 on; to deny all, leave beyond out")
	}
	s.window(path+".per", per)
	s.out.beyond = &access.ResultLimit{Rows: access.Budget{Count: int64(b.Rows), Per: per}, Bytes: access.Budget{Count: int64(b.Bytes), Per: per}}
}

// window checks the window of a budget.
func (s *statementChecker) window(path string, per time.Duration) {
	if per < shortestWindow || per > longestWindow {
		s.add(path, "the window of a budget is from %s to %s", shortestWindow, longestWindow)
	}
}
