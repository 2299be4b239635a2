package main

import (
	"cmp"
	"reflect"

	"gatehouse/internal/access"
	"gatehouse/internal/policy"
	"gatehouse/internal/wire"
)

// vocabulary is the protocols' verbs as policies may name them.
func vocabulary(protocols []wire.Protocol) []policy.Vocabulary {
	out := make([]policy.Vocabulary, 0, len(protocols))
	for _, p := range protocols {
		out = append(out, policy.Vocabulary{Type: p.Name, Actions: actionNames(p.Verbs()), Documents: p.Exchange != nil || p.Messages, Messages: p.Messages, Rootless: p.Rootless})
	}
	return out
}

func actionNames(verbs []wire.Verb) []policy.ActionName {
	out := make([]policy.ActionName, 0, len(verbs))
	for _, v := range verbs {
		out = append(out, policy.ActionName{Name: v.Name, Implied: v.Implied})
	}
	return out
}

// withNames adds the actions that documents attached to connections bring with them. A connection whose document cannot be
// understood is closed: nobody reaches it, and the others go on.
func withNames(d policy.Documents, protocols []wire.Protocol) policy.Documents {
	d.Names, d.Closed = map[string][]policy.ActionName{}, map[string]string{}
	for _, c := range d.Connections {
		for _, p := range protocols {
			if p.Name != c.Type || p.Actions == nil {
				continue
			}
			verbs, err := p.Actions(c)
			if err != nil {
				d.Closed[c.Name] = cmp.Or(problemOf(err), "its attached document cannot be understood")
				continue
			}
			d.Names[c.Name] = actionNames(verbs)
		}
	}
	return d
}

// digestOf is the digest by which a protocol tells whether policies know the actions of the document that it reads.
func digestOf(names []policy.ActionName) string {
	verbs := make([]wire.Verb, 0, len(names))
	for _, n := range names {
		verbs = append(verbs, wire.Verb{Name: n.Name})
	}
	return wire.DigestOf(verbs)
}

// filesOf are the files that connections name and that their actions are read from.
func filesOf(connections []*access.Connection, protocols []wire.Protocol) (out []string) {
	for _, c := range connections {
		for _, p := range protocols {
			if p.Name == c.Type && p.Files != nil {
				out = append(out, p.Files(c)...)
			}
		}
	}
	return out
}

// check compiles documents that are about to be written over those that are stored. What is wrong with a connection's attached
// document is the writer's to mend only where they write the connection: a file that has gone since must not stand in the way of a
// deny.
func check(f policy.Defaults, d policy.Documents, vocab []policy.Vocabulary, stored []access.Document) ([]*policy.Problem, error) {
	var out []*policy.Problem
	untouched := map[string]bool{}
	for _, doc := range stored {
		untouched[doc.DocKind()+" "+doc.DocName()] = true
	}
	for _, now := range documentsOf(d) {
		key := now.DocKind() + " " + now.DocName()
		untouched[key] = untouched[key] && contains(stored, now)
	}
	old := false
	for name, say := range d.Closed {
		if untouched[access.KindConnection+" "+name] {
			old = true
			continue
		}
		out = append(out, &policy.Problem{Kind: access.KindConnection, Name: name, Say: say})
	}
	_, err := f.Compile(d, vocab, 0)
	found := policy.Problems(err)
	if err != nil && len(found) == 0 {
		return nil, err
	}
	if !old {
		return append(out, found...), nil
	}
	d.Stored = true
	_, err = f.Compile(d, vocab, 0)
	without := map[string]bool{}
	for _, p := range policy.Problems(err) {
		without[p.Error()] = true
	}
	for _, p := range found {
		if without[p.Error()] || !untouched[p.Kind+" "+p.Name] {
			out = append(out, p)
		}
	}
	return out, nil
}

func documentsOf(d policy.Documents) []access.Document {
	var all []access.Document
	for _, p := range d.Policies {
		all = append(all, p)
	}
	for _, c := range d.Connections {
		all = append(all, c)
	}
	return all
}

// contains reports whether a document is among others as it is.
func contains(all []access.Document, d access.Document) bool {
	for _, o := range all {
		if o.DocKind() == d.DocKind() && o.DocName() == d.DocName() {
			return reflect.DeepEqual(o, d)
		}
	}
	return false
}
