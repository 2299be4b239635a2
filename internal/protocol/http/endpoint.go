package http

import (
	"fmt"
	"reflect"
	"sync"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/wire/exchange"
)

// endpoint is what a connection says about the requests that it takes, compiled. What is read of it is immutable.
type endpoint struct {
	connection string
	base       access.Endpoint
	ignoreCase bool
	paths      *templates
	api        *openapi
	inject     *injector
	schemas    *schemas

	echoes exchange.Echoes
}

// compile reads what a connection's document says about its requests.
func compile(c *access.Connection, clock func() time.Time) (*endpoint, error) {
	e := &endpoint{connection: c.Name, schemas: &schemas{clock: clock}}
	var err error
	if e.base, err = access.ParseEndpoint(c.Address); err != nil {
		return nil, err
	}
	if e.inject, err = newInjector(c.Credential, clock); err != nil || c.HTTP == nil {
		return e, err
	}
	for name, v := range c.HTTP.Headers {
		if err := headerName(name); err != nil || !writable(v) {
			return nil, fmt.Errorf("headers: %q cannot be sent with every request", name)
		}
	}
	e.ignoreCase = c.HTTP.IgnoreCase
	if e.api, err = documentOf(c); err != nil {
		return nil, err
	}
	e.schemas.file, e.schemas.reflection = c.HTTP.Descriptors, c.HTTP.Reflection
	if len(c.HTTP.Paths) > 0 {
		if e.paths, err = newTemplates(c.HTTP.Paths, e.ignoreCase); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// endpoints keeps what connections' documents compile to, one for each connection: the last one that was asked for.
type endpoints struct {
	clock func() time.Time
	mu    sync.Mutex
	all   map[string]*compiled
}

type compiled struct {
	doc  *access.Connection
	once sync.Once
	e    *endpoint
	err  error
}

func newEndpoints(clock func() time.Time) *endpoints {
	return &endpoints{clock: clock, all: map[string]*compiled{}}
}

// of returns what a connection compiles to. A document that does not compile closes its connection, and says why.
func (k *endpoints) of(c *access.Connection) (*endpoint, error) {
	k.mu.Lock()
	had := k.all[c.Name]
	switch {
	case had == nil || had.doc != c && !same(had.doc, c):
		had = &compiled{doc: c}
		k.all[c.Name] = had
	case had.doc != c: // published again, unchanged
		had.doc = c
	}
	k.mu.Unlock()
	had.once.Do(func() {
		if had.e, had.err = compile(c, k.clock); had.err != nil {
			had.err = fault.Wrap(fault.Unavailable, "http.compile", had.err, "what connection %s says about its requests cannot be used: %v", c.Name, had.err)
		}
	})
	return had.e, had.err
}

// same reports whether two versions of a connection's document compile to the same.
func same(a, b *access.Connection) bool {
	return a.Address == b.Address && reflect.DeepEqual(a.HTTP, b.HTTP) && reflect.DeepEqual(a.Credential, b.Credential)
}
