package api

import (
	"bytes"
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/internal/access"
	"gatehouse/internal/api/message"
	"gatehouse/internal/fault"
)

type secretName struct {
	Name string `path:"name" minLength:"1" maxLength:"128" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]*$"`
}

type putSecretInput struct {
	Name    string `path:"name" minLength:"1" maxLength:"128" pattern:"^[A-Za-z0-9][A-Za-z0-9._-]*$"`
	RawBody []byte `contentType:"application/octet-stream" required:"true" doc:"The value itself, byte for byte"`
}

type secretsOutput struct{ Body message.SecretList }

type emptyOutput struct{}

func (s *Server) secretRoutes() {
	route(s, operators, huma.Operation{OperationID: "list-secrets", Method: http.MethodGet, Path: "/v1/secrets",
		Summary: "Name the secrets; their values are never told", Tags: []string{"secrets"}}, s.listSecrets)
	route(s, operators, huma.Operation{OperationID: "put-secret", Method: http.MethodPut, Path: "/v1/secrets/{name}",
		Summary: "Seal a value under a name", Tags: []string{"secrets"}, MaxBodyBytes: maxSecret}, s.putSecret)
	route(s, operators, huma.Operation{OperationID: "delete-secret", Method: http.MethodDelete, Path: "/v1/secrets/{name}",
		Summary: "Forget a secret that no connection uses", Tags: []string{"secrets"}}, s.deleteSecret)
}

func (s *Server) listSecrets(ctx context.Context, _ *struct{}) (*secretsOutput, error) {
	names, err := s.o.Secrets.List(ctx)
	if err != nil {
		return nil, err
	}
	out := &secretsOutput{Body: message.SecretList{Names: append([]string{}, names...)}}
	slices.Sort(out.Body.Names)
	return out, nil
}

func (s *Server) putSecret(ctx context.Context, in *putSecretInput) (*emptyOutput, error) {
	value := access.NewSecret(bytes.Clone(in.RawBody))
	clear(in.RawBody) // the framework keeps the buffer for another request
	defer value.Wipe()
	if value.Empty() {
		return nil, fault.New(fault.Malformed, "api.putSecret", "the value is empty: send it as the body")
	}
	return s.changeSecret(ctx, in.Name, "set", func() error { return s.o.Secrets.Put(ctx, in.Name, value) })
}

func (s *Server) deleteSecret(ctx context.Context, in *secretName) (*emptyOutput, error) {
	names, err := s.o.Secrets.List(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(names, in.Name) {
		return nil, fault.New(fault.NotFound, "api.deleteSecret", "there is no secret named %q: gatehouse secrets list names them", in.Name)
	}
	docs, _, err := s.o.Documents.Documents(ctx)
	if err != nil {
		return nil, err
	}
	for _, d := range docs {
		if c, ok := d.(*access.Connection); ok && c.Credential.Secret == in.Name {
			return nil, fault.New(fault.Conflict, "api.deleteSecret", "the connection %q uses it: delete or change that first", c.Name)
		}
	}
	return s.changeSecret(ctx, in.Name, "delete", func() error { return s.o.Secrets.Delete(ctx, in.Name) })
}

// changeSecret records, then changes; a change that failed is recorded as such.
func (s *Server) changeSecret(ctx context.Context, name, action string, do func() error) (*emptyOutput, error) {
	e := access.Event{Kind: access.EventSecretChanged, Principal: callerOf(ctx).ID(), Detail: map[string]string{"name": name, "action": action}}
	if err := s.record(&e); err != nil {
		return nil, err
	}
	if err := do(); err != nil {
		e.Status, e.Reason = access.StatusError, err.Error()
		s.recordFailure(&e)
		return nil, err
	}
	return nil, nil
}
