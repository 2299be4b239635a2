package main

import (
	"bytes"
	"context"
	"strings"

	"gatehouse/internal/access"
	"gatehouse/internal/api"
	"gatehouse/internal/api/message"
	"gatehouse/internal/audit"
	"gatehouse/internal/config"
	"gatehouse/internal/fault"
	"gatehouse/internal/insight"
	"gatehouse/internal/wire"
)

// ownFormat is the language of the gateway's own policies, whatever the protocol.
const ownFormat = "gatehouse"

// apiAdviser makes policies of the audit log.
type apiAdviser struct{ g *gateway }

func (a apiAdviser) Export(ctx context.Context, q api.ExportQuestion) (*message.PolicyExport, error) {
	write, protocol, err := a.format(q.Format)
	if err != nil {
		return nil, err
	}
	question, err := a.question(ctx, q, protocol)
	if err != nil {
		return nil, err
	}
	c := insight.NewCollector(question)
	for r, err := range audit.Read(a.g.state.path(auditDir), 0) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = c.Add(&r.Event)
		}
		if err != nil {
			return nil, err
		}
	}
	p, notes, counts := c.Policy(q.Name)
	if p == nil {
		return nil, nothing(q, counts)
	}
	document, more, err := write(p, notes)
	if err != nil {
		return nil, err
	}
	return &message.PolicyExport{Role: q.Role, Format: q.Format, Document: string(document), Notes: append(notes, more...),
		Sessions: counts.Sessions, Actions: counts.Actions, Refused: counts.Refused}, nil
}

// nothing says why there is nothing to write.
func nothing(q api.ExportQuestion, counts insight.Counts) error {
	if counts.Sessions == 0 {
		return fault.New(fault.NotFound, "main.Export", "the audit log knows nothing that the role %s did there and then: gatehouse sessions list shows what it has", q.Role)
	}
	return fault.New(fault.NotFound, "main.Export", "of the %d actions of the role %s, none was let through that a policy could name (%d were refused)",
		counts.Actions+counts.Refused, q.Role, counts.Refused)
}

// writer writes a policy with the notes on it, and says what else is to be noted.
type writer func(p *access.Policy, notes []string) (document []byte, more []string, err error)

// format returns the writer of a format, and the protocol that it is about; "" is all.
func (a apiAdviser) format(name string) (writer, string, error) {
	known := []string{ownFormat}
	if name == ownFormat {
		return asDocument, "", nil
	}
	for _, p := range a.g.protocols {
		for _, f := range p.Formats {
			if f.Name == name {
				return func(p *access.Policy, _ []string) ([]byte, []string, error) { return f.Export(p) }, p.Name, nil
			}
			known = append(known, f.Name)
		}
	}
	return nil, "", fault.New(fault.Malformed, "main.format", "there is no format %q: use %s", name, strings.Join(known, " or "))
}

// asDocument is what `apply` reads, with the notes before it as comments.
func asDocument(p *access.Policy, notes []string) ([]byte, []string, error) {
	var b bytes.Buffer
	for _, n := range notes {
		b.WriteString("# " + n + "\n")
	}
	doc, err := config.Marshal(p)
	b.Write(doc)
	return b.Bytes(), nil, err
}

// question is what the collector has to know of the protocols and the connections as they are now.
func (a apiAdviser) question(ctx context.Context, q api.ExportQuestion, protocol string) (insight.Question, error) {
	docs, _, err := a.g.state.store.Documents(ctx)
	if err != nil {
		return insight.Question{}, err
	}
	templates := map[string]func(string) (string, bool){}
	for _, c := range sorted(docs).Connections {
		if p, ok := a.g.protocol(c.Type); ok && p.Folds.Template != nil {
			templates[c.Type+" "+c.Name] = p.Folds.Template(c)
		}
	}
	folds, implied := map[string]wire.Folds{}, map[string]bool{}
	for _, p := range a.g.protocols {
		folds[p.Name] = p.Folds
		implied[p.Name+" "+wire.Connect(p.Name, "").Actions[0].Name] = true
		for _, v := range p.Verbs() {
			implied[p.Name+" "+v.Name] = implied[p.Name+" "+v.Name] || v.Implied
		}
	}
	return insight.Question{Role: q.Role, Connection: q.Connection, Protocol: protocol, Since: q.Since, Exact: q.Exact,
		Implied: func(protocol, action string) bool { return implied[protocol+" "+action] },
		Template: func(protocol, connection, resource string) (string, bool) {
			if t := templates[protocol+" "+connection]; t != nil {
				return t(resource)
			}
			return "", false
		},
		Parent: func(protocol, resource string) (string, bool) {
			if folds[protocol].Parent == nil {
				return "", false
			}
			return folds[protocol].Parent(resource)
		}}, nil
}
