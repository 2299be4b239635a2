package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/access"
)

// The directions of a mask as documents write them.
const (
	inResponse = "response"
	inRequest  = "request"
	inBoth     = "both"
)

// maxHeader bounds the name of a header in bytes.
const maxHeader = 128

// ways says of each direction whether a mask binds it.
type ways [2]bool

func (s *statementChecker) compileMask() {
	entities := access.Entities()
	for i, name := range s.doc.Detect {
		if !slices.Contains(entities, name) {
			s.add(fmt.Sprintf("%s.detect[%d]", s.path, i), "unknown detector %q; known: %v%s", name, entities, didYouMean(name, entities))
		}
	}
	s.out.detect = s.doc.Detect
	s.out.mask = s.maskWith()
	s.out.mask.Because = s.out.because
	s.out.mask.Lookup = s.lookups()
	s.compileInside()
}

// compileInside compiles what a mask says of the inside of documents.
func (s *statementChecker) compileInside() {
	st := s.doc
	for i, text := range st.Fields {
		p, err := access.ParsePath(text)
		if err != nil {
			s.add(fmt.Sprintf("%s.fields[%d]", s.path, i), "%s", err)
			continue
		}
		s.out.paths = append(s.out.paths, access.PathMask{Path: p.String(), Mask: s.out.mask})
	}
	for i, name := range st.Headers {
		if len(name) > maxHeader || !isToken(name) {
			s.add(fmt.Sprintf("%s.headers[%d]", s.path, i), "%q is no name of a header", name)
			continue
		}
		s.out.headers = append(s.out.headers, access.HeaderMask{Name: strings.ToLower(name), Mask: s.out.mask})
	}
	s.out.paths = distinctPaths(s.out.paths)
	s.out.headers = distinctHeaders(s.out.headers)
	inside := len(st.Fields)+len(st.Headers) > 0
	switch {
	case inside && len(st.Resources) == 0:
		s.add(s.path+".resources", "fields and headers are of the documents of resources: name those")
	case inside && len(st.Detect) > 0:
		s.add(s.path+".detect", "detect looks at every value, and fields and headers name some: give each a statement of its own")
	case inside && st.AllowLookup:
		s.add(s.path+".allow_lookup", "what is masked inside of documents cannot be looked up by: name fields of a table in resources instead")
	}
	s.out.ways = s.waysOf(inside || len(st.Detect) > 0)
}

// waysOf compiles the direction of a mask; its absence means what a principal is shown.
func (s *statementChecker) waysOf(inside bool) ways {
	words := []string{inResponse, inRequest, inBoth}
	switch in := s.doc.In; {
	case in == "" || in == inResponse:
		return ways{access.ToClient: true}
	case !slices.Contains(words, in):
		s.add(s.path+".in", "unknown direction %q; one of response, request, both%s", in, didYouMean(in, words))
	case !inside:
		s.add(s.path+".in", "a mask of a resource as a whole hides what is shown of it: in: %s goes with fields, headers or detect", in)
	}
	return ways{access.ToClient: s.doc.In != inRequest, access.ToBackend: true}
}

// isToken reports whether s can be the name of a header (RFC 9110, 5.1).
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		letter := r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// lookups compiles what a mask says of lookups: none, unless it allows them.
func (s *statementChecker) lookups() access.Budget {
	st := s.doc
	switch {
	case !st.AllowLookup && st.Lookups != nil:
		s.add(s.path+".lookups", "lookups bounds what allow_lookup allows: set allow_lookup, or remove lookups")
		return access.Budget{}
	case !st.AllowLookup:
		return access.Budget{}
	case len(st.Detect) > 0:
		s.add(s.path+".allow_lookup", "a detector masks no field that could be looked up: name the fields in resources instead")
	}
	if st.Lookups == nil {
		return access.Budget{Count: defaultLookups, Per: defaultWindow}
	}
	b := access.Budget{Count: int64(st.Lookups.Count), Per: time.Duration(st.Lookups.Per)}
	if b.Count < 1 || b.Count > mostLookups {
		s.add(s.path+".lookups.count", "lookups are from 1 to %d", mostLookups)
	}
	s.window(s.path+".lookups.per", b.Per)
	return b
}

// maskWith compiles the "with" of a mask; its absence means redact.
func (s *statementChecker) maskWith() access.Mask {
	w, path := s.doc.With, s.path+".with"
	switch {
	case w == nil:
		return access.Mask{Strategy: access.MaskRedact}
	case w.Partial != nil && w.Truncate == nil && w.Word == "":
		return s.partial(path+".partial", w.Partial)
	case w.Truncate != nil && w.Partial == nil && w.Word == "":
		if w.Truncate.To != "month" && w.Truncate.To != "year" {
			s.add(path+".truncate.to", "truncate cuts to month or year, not %q", w.Truncate.To)
		}
		if len(s.doc.Detect) > 0 {
			s.add(path, "truncate is for dates, and no detector finds dates: name the fields in resources instead")
		}
		return access.Mask{Strategy: access.MaskTruncate, Unit: w.Truncate.To}
	}
	if w.Partial != nil || w.Truncate != nil {
		s.add(path, "with holds more than one mask: give one of redact, hash, null, partial, truncate")
	}
	words := []string{string(access.MaskRedact), string(access.MaskHash), string(access.MaskNull)}
	if !slices.Contains(words, w.Word) {
		s.add(path, "unknown mask %q; one of redact, hash, null, {partial: {keep_last: 4}}, {truncate: {to: year}}%s",
			w.Word, didYouMean(w.Word, words))
	}
	return access.Mask{Strategy: access.MaskStrategy(w.Word)}
}

func (s *statementChecker) partial(path string, w *access.PartialWith) access.Mask {
	first, last := w.KeepFirst, w.KeepLast
	if first < 0 || last < 0 || first > maxKeep || last > maxKeep {
		s.add(path, "keep_first and keep_last are from 0 to %d", maxKeep)
	}
	if first == 0 && last == 0 {
		s.add(path, "partial keeps nothing: give keep_first or keep_last, or use redact")
	}
	return access.Mask{Strategy: access.MaskPartial, KeepFirst: first, KeepLast: last}
}
