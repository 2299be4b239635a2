package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gatehouse/internal/access"
)

// binding is a compiled binding of a role.
type binding struct {
	issuer    string         // the iss claim
	claims    map[string]any // string, bool, int64, float64 or []any of these
	condition *condition
}

// Roles returns the names of every role that binds p, sorted. Only workloads and people hold roles.
func (s *Set) Roles(p *access.Principal) []string {
	var names []string
	for _, r := range s.rolesOf(p) {
		names = append(names, r.name)
	}
	return names
}

func (s *Set) rolesOf(p *access.Principal) []*role {
	if p == nil || (p.Kind != access.Workload && p.Kind != access.Person) {
		return nil
	}
	var bound []*role
	for _, r := range s.roles {
		if slices.ContainsFunc(r.bindings, func(b *binding) bool { return b.holds(p) }) {
			bound = append(bound, r)
		}
	}
	return bound
}

// holds reports whether the issuer, every claim and the condition hold.
func (b *binding) holds(p *access.Principal) bool {
	if b.issuer == "" || b.issuer != p.Issuer {
		return false
	}
	for name, want := range b.claims {
		got, present := p.Claims[name]
		if !present || !equalClaim(want, got) {
			return false
		}
	}
	return b.condition.eval(&facts{caller: p}) == yes
}

func (c *compiler) compileBinding(r report, path string, doc *access.Binding) *binding {
	b := &binding{claims: map[string]any{}}
	if issuer, known := c.issuers[doc.Issuer]; known {
		b.issuer = issuer.URL
	} else {
		r.add(path+".issuer", "there is no issuer %q%s", doc.Issuer, didYouMean(doc.Issuer, keys(c.issuers)))
	}
	if len(doc.Claims) == 0 && doc.Condition == "" {
		r.add(path, "the binding would hold for every token of issuer %s: give at least one claim or a condition", doc.Issuer)
	}
	for _, name := range keys(doc.Claims) {
		value, say := claimValue(doc.Claims[name])
		if say != "" {
			r.add(path+".claims."+name, "%s", say)
			continue
		}
		b.claims[name] = value
	}
	if doc.Condition != "" {
		cond, found := c.callers.compile(doc.Condition)
		r.condition(path+".condition", found)
		b.condition = cond
	}
	return b
}

// claimValue brings a document's value into the form that claims have, or says why it can never equal one.
func claimValue(v any) (any, string) {
	switch v := v.(type) {
	case string:
		if strings.Contains(v, "*") {
			return nil, "claims are compared exactly, so a * stands for itself: use a condition, such as " +
				`claims.sub.startsWith("repo:acme/")`
		}
		return v, ""
	case bool:
		return v, ""
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			if _, nested := e.([]any); nested {
				return nil, "a list inside a list cannot be compared: use a condition"
			}
			value, say := claimValue(e)
			if say != "" {
				return nil, say
			}
			list[i] = value
		}
		return list, ""
	}
	if n := number(v); n != nil {
		return n, ""
	}
	return nil, fmt.Sprintf("a claim is compared with a string, a number, true, false or a list of these, not with %T: use a condition", v)
}

// number returns any Go number as int64 where it is whole and exact, else as float64; nil where v is not a number.
func number(v any) any {
	r := reflect.ValueOf(v)
	switch {
	case !r.IsValid():
		return nil
	case r.CanInt():
		return r.Int()
	case r.CanUint():
		if r.Uint() > 1<<62 {
			return nil
		}
		return int64(r.Uint())
	case r.CanFloat():
		f := r.Float()
		if f == float64(int64(f)) && f > -(1<<53) && f < 1<<53 {
			return int64(f)
		}
		return f
	}
	return nil
}

// equalClaim compares a binding's value with a token's claim: the same type and the same value, lists element by element.
func equalClaim(want, got any) bool {
	switch want := want.(type) {
	case string:
		s, ok := got.(string)
		return ok && s == want
	case bool:
		b, ok := got.(bool)
		return ok && b == want
	case []any:
		list, ok := got.([]any)
		return ok && slices.EqualFunc(want, list, equalClaim)
	}
	n := number(got)
	return n != nil && n == want
}
