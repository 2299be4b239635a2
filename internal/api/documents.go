package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/internal/access"
	"gatehouse/internal/api/message"
	"gatehouse/internal/fault"
)

// maxRecordedDiff bounds the difference that a record of a change holds, in bytes; the digest names the rest.
const maxRecordedDiff = 32 << 10

type documentsInput struct {
	Kind string `query:"kind" enum:"Issuer,Policy,Connection,Role,Revocation" doc:"Only this kind"`
}

type documentInput struct {
	Kind string `path:"kind" enum:"Issuer,Policy,Connection,Role,Revocation"`
	Name string `path:"name" maxLength:"256"`
}

type deleteInput struct {
	Kind   string `path:"kind" enum:"Issuer,Policy,Connection,Role,Revocation"`
	Name   string `path:"name" maxLength:"256"`
	DryRun bool   `query:"dry_run" doc:"Say what would happen and change nothing"`
}

type applyInput struct{ Body message.ApplyRequest }

type planOutput struct{ Body message.Plan }

type documentsOutput struct{ Body message.DocumentList }

type rawOutput struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (s *Server) documentRoutes() {
	route(s, operators, huma.Operation{OperationID: "list-documents", Method: http.MethodGet, Path: "/v1/documents",
		Summary: "List documents", Tags: []string{"documents"}}, s.listDocuments)
	route(s, operators, huma.Operation{OperationID: "get-document", Method: http.MethodGet, Path: "/v1/documents/{kind}/{name}",
		Summary: "Read one document", Tags: []string{"documents"}}, s.getDocument)
	route(s, operators, huma.Operation{OperationID: "apply-documents", Method: http.MethodPost, Path: "/v1/documents",
		Summary: "Write documents, all or none", Tags: []string{"documents"}, MaxBodyBytes: maxDocuments,
		Description: "The set of documents as it would be is compiled first; what does not compile is not written. Each change is " +
			"in the audit log before it takes effect."}, s.apply)
	route(s, operators, huma.Operation{OperationID: "delete-document", Method: http.MethodDelete, Path: "/v1/documents/{kind}/{name}",
		Summary: "Delete one document", Tags: []string{"documents"}}, s.deleteDocument)
	route(s, operators, huma.Operation{OperationID: "get-schema", Method: http.MethodGet, Path: "/v1/schema",
		Summary: "The JSON Schema of the documents", Tags: []string{"documents"}}, s.getSchema)
}

func (s *Server) getSchema(context.Context, *struct{}) (*rawOutput, error) {
	return &rawOutput{ContentType: "application/schema+json", Body: s.o.Schema}, nil
}

func (s *Server) listDocuments(ctx context.Context, in *documentsInput) (*documentsOutput, error) {
	docs, revision, err := s.o.Documents.Documents(ctx)
	if err != nil {
		return nil, err
	}
	out := &documentsOutput{Body: message.DocumentList{Revision: revision, Documents: []json.RawMessage{}}}
	for _, d := range docs {
		if in.Kind != "" && in.Kind != d.DocKind() {
			continue
		}
		b, err := message.EncodeDocument(d)
		if err != nil {
			return nil, err
		}
		out.Body.Documents = append(out.Body.Documents, b)
	}
	return out, nil
}

func (s *Server) getDocument(ctx context.Context, in *documentInput) (*documentsOutput, error) {
	docs, revision, err := s.o.Documents.Documents(ctx)
	if err != nil {
		return nil, err
	}
	d := find(docs, in.Kind, in.Name)
	if d == nil {
		return nil, noDocument(in.Kind, in.Name)
	}
	b, err := message.EncodeDocument(d)
	if err != nil {
		return nil, err
	}
	return &documentsOutput{Body: message.DocumentList{Revision: revision, Documents: []json.RawMessage{b}}}, nil
}

func noDocument(kind, name string) error {
	return fault.New(fault.NotFound, "api", "there is no %s named %q: gatehouse get %s lists them", kind, name, kind)
}

func (s *Server) apply(ctx context.Context, in *applyInput) (*planOutput, error) {
	changes := make([]Change, 0, len(in.Body.Documents))
	seen := map[[2]string]bool{}
	for i, raw := range in.Body.Documents {
		d, err := s.o.Parse(raw)
		if err != nil {
			return nil, fault.Wrap(orMalformed(err), "api.apply", err, "document %d: %s", i+1, sayOf(err))
		}
		key := [2]string{d.DocKind(), d.DocName()}
		if seen[key] {
			return nil, fault.New(fault.Malformed, "api.apply", "%s %q is given twice: keep one", key[0], key[1])
		}
		seen[key] = true
		changes = append(changes, Change{Kind: key[0], Name: key[1], Document: d})
	}
	return s.change(ctx, changes, in.Body.DryRun)
}

func (s *Server) deleteDocument(ctx context.Context, in *deleteInput) (*planOutput, error) {
	return s.change(ctx, []Change{{Kind: in.Kind, Name: in.Name}}, in.DryRun)
}

// change plans, compiles, records and writes, in this order.
func (s *Server) change(ctx context.Context, asked []Change, dryRun bool) (*planOutput, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	docs, revision, err := s.o.Documents.Documents(ctx)
	if err != nil {
		return nil, err
	}
	plan, changes, after, err := s.plan(docs, asked)
	if err != nil {
		return nil, err
	}
	plan.Revision, plan.DryRun = revision, dryRun
	findings, err := s.o.Checker.Check(ctx, after)
	if err != nil {
		return nil, err
	}
	if len(findings) > 0 {
		return nil, fault.Wrap(fault.Malformed, "api.change", &findingsError{findings},
			"nothing was changed, because the documents would not compile (%d found)", len(findings))
	}
	if dryRun || len(changes) == 0 {
		return &planOutput{Body: *plan}, nil
	}
	if plan.Revision, err = s.commit(ctx, plan, changes, revision); err != nil {
		return nil, err
	}
	return &planOutput{Body: *plan}, nil
}

// plan says what each asked-for change comes to, which of them are changes at all, and what the set is afterwards.
func (s *Server) plan(docs []access.Document, asked []Change) (*message.Plan, []Change, []access.Document, error) {
	plan := &message.Plan{Changes: make([]message.PlannedItem, 0, len(asked))}
	var changes []Change
	after := slices.Clone(docs)
	for _, c := range asked {
		before := find(docs, c.Kind, c.Name)
		item := message.PlannedItem{Kind: c.Kind, Name: c.Name}
		switch {
		case c.Document == nil && before == nil:
			return nil, nil, nil, noDocument(c.Kind, c.Name)
		case c.Document == nil:
			item.Action = message.ActionDelete
			after = slices.DeleteFunc(after, func(d access.Document) bool { return d == before })
		case before == nil:
			item.Action = message.ActionCreate
			after = append(after, c.Document)
		case same(before, c.Document):
			item.Action = message.ActionUnchanged
		default:
			item.Action = message.ActionUpdate
			after[slices.Index(after, before)] = c.Document
		}
		if item.Action != message.ActionUnchanged {
			item.Diff = s.o.Diff(before, c.Document)
			changes = append(changes, c)
		}
		plan.Changes = append(plan.Changes, item)
	}
	return plan, changes, after, nil
}

// commit records every change, waits until the records are kept, and writes. Where writing fails, a second record says
// so, so that the log does not claim what did not happen.
func (s *Server) commit(ctx context.Context, plan *message.Plan, changes []Change, expect uint64) (uint64, error) {
	by := callerOf(ctx)
	var last uint64
	for _, item := range plan.Changes {
		if item.Action == message.ActionUnchanged {
			continue
		}
		e := &access.Event{Kind: access.EventDocumentChanged, Principal: by.ID(), Detail: detailOf(item, changes, expect)}
		seq, err := s.o.Recorder.Append(e)
		if err != nil {
			return 0, err
		}
		last = seq
	}
	if err := s.o.Recorder.Barrier(last); err != nil {
		return 0, err
	}
	revision, err := s.o.Documents.Apply(ctx, by.ID(), expect, changes)
	if err != nil && revision > expect {
		return 0, fault.Wrap(fault.Unavailable, "api.commit", err,
			"the documents are written (revision %d), but this gateway cannot decide by them yet, and refuses until it can: %s", revision, sayOf(err))
	}
	if err != nil {
		s.recordFailure(&access.Event{Kind: access.EventDocumentChanged, Principal: by.ID(), Status: access.StatusError,
			Reason: err.Error(), Detail: map[string]string{"from_revision": strconv.FormatUint(expect, 10)}})
		return 0, err
	}
	return revision, nil
}

// recordFailure notes that a recorded change did not happen. The caller is told of the failure itself either way.
func (s *Server) recordFailure(e *access.Event) {
	if err := s.record(e); err != nil {
		s.o.Logger.Error("api: a failed change could not be recorded", "error", err.Error())
	}
}

func detailOf(item message.PlannedItem, changes []Change, revision uint64) map[string]string {
	d := map[string]string{"kind": item.Kind, "name": item.Name, "action": item.Action,
		"from_revision": strconv.FormatUint(revision, 10), "diff": item.Diff}
	if len(item.Diff) > maxRecordedDiff {
		d["diff"] = strings.ToValidUTF8(item.Diff[:maxRecordedDiff], "") + "\n[cut]"
	}
	for _, c := range changes {
		if c.Document == nil || c.Kind != item.Kind || c.Name != item.Name {
			continue
		}
		if b, err := message.EncodeDocument(c.Document); err == nil {
			sum := sha256.Sum256(b)
			d["sha256"] = hex.EncodeToString(sum[:])
		}
	}
	return d
}

func find(docs []access.Document, kind, name string) access.Document {
	for _, d := range docs {
		if d.DocKind() == kind && d.DocName() == name {
			return d
		}
	}
	return nil
}

func same(a, b access.Document) bool {
	x, errX := message.EncodeDocument(a)
	y, errY := message.EncodeDocument(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// orMalformed keeps an error's kind where it has one.
func orMalformed(err error) fault.Kind {
	if k := fault.KindOf(err); k != fault.Internal {
		return k
	}
	return fault.Malformed
}

// sayOf returns what an error says to clients, or its whole text where it has no kind: only for what the operator may read
// whole, since documents hold no secrets.
func sayOf(err error) string {
	if fault.KindOf(err) == fault.Internal {
		return err.Error()
	}
	text, _ := fault.Say(err)
	return text
}
