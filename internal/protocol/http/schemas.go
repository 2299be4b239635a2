package http

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/protocol/http/grpc"
)

// schemas is what a connection knows of its messages.
type schemas struct {
	read       *grpc.Schema // of the connection's file; nil where it names none
	reflection bool
	clock      func() time.Time

	mu     sync.Mutex
	asked  map[string]*grpc.Schema // by service
	asking map[string]*asking      // by service
	since  time.Time
	size   int // bytes of descriptors in asked
}

// asking is one question to a backend's reflection, on its way. What it found is there when done is closed.
type asking struct {
	done   chan struct{}
	schema *grpc.Schema
	err    error
	given  bool // the one who asked gave up: what the backend would have said is not known
}

// asker asks a backend's reflection.
type asker func(path string, body []byte) ([]byte, error)

// schemaLife is how long an answer of a backend's reflection is believed; maxServices bounds how many are kept.
const (
	schemaLife  = 5 * time.Minute
	maxServices = 256
)

var errNoSchema = errors.New("the connection has neither descriptors nor reflection")

// any reports whether anything can be known.
func (s *schemas) any() bool { return s.read != nil || s.reflection }

// of returns what is known of a service. Whoever needs it first asks; others that need the same wait for the answer, until ctx ends, and
// nobody else does.
func (s *schemas) of(ctx context.Context, service string, ask asker) (*grpc.Schema, error) {
	switch {
	case s.read != nil:
		return s.read, nil
	case !s.reflection:
		return nil, errNoSchema
	}
	for {
		known, a, first := s.begin(service)
		switch {
		case known != nil:
			return known, nil
		case first:
			s.ask(ctx, service, a, ask)
			return a.schema, a.err
		}
		select {
		case <-a.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if !a.given {
			return a.schema, a.err
		}
	}
}

// begin returns what is known of a service; else the question that is on its way, and whether it is the caller's to ask.
func (s *schemas) begin(service string) (known *grpc.Schema, a *asking, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.clock(); now.Sub(s.since) > schemaLife || len(s.asked) >= maxServices || s.size > grpc.MaxDescriptors {
		s.asked, s.since, s.size = map[string]*grpc.Schema{}, now, 0
	}
	if known = s.asked[service]; known != nil {
		return known, nil, false
	}
	if a = s.asking[service]; a != nil {
		return nil, a, false
	}
	if s.asking == nil {
		s.asking = map[string]*asking{}
	}
	a = &asking{done: make(chan struct{}), given: true}
	s.asking[service] = a
	return nil, a, true
}

// ask asks each version of the backend's reflection, without the lock: a backend may take its time.
func (s *schemas) ask(ctx context.Context, service string, a *asking, ask asker) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.asking, service)
		if a.schema != nil {
			s.asked[service] = a.schema
			s.size += a.schema.Size
		}
		close(a.done)
	}()
	for _, path := range grpc.Reflection() {
		if a.schema, a.err = reflected(service, path, ask); a.err == nil {
			break
		}
	}
	a.given = a.err != nil && ctx.Err() != nil
}

// descriptorsOf reads the file of descriptors that a connection names; nil where it names none.
func descriptorsOf(c *access.Connection) (*grpc.Schema, error) {
	if c.HTTP == nil || c.HTTP.Descriptors == "" {
		return nil, nil
	}
	f, err := os.Open(c.HTTP.Descriptors)
	if err != nil {
		return nil, errors.New("descriptors: the file cannot be read")
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, grpc.MaxDescriptors+1))
	if err != nil {
		return nil, errors.New("descriptors: the file cannot be read")
	}
	s, err := grpc.Read(b)
	if err != nil {
		return nil, fmt.Errorf("descriptors: %w", err)
	}
	return s, nil
}

// reflected asks one version of a backend's reflection, until nothing that a service imports is missing.
func reflected(service, path string, ask func(path string, body []byte) ([]byte, error)) (*grpc.Schema, error) {
	f := grpc.Find(service)
	for q := f.Ask(); q != nil; q = f.Ask() {
		answer, err := ask(path, q)
		if err == nil {
			err = f.Answer(answer)
		}
		if err != nil {
			return nil, err
		}
	}
	return f.Schema()
}
