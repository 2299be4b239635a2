package http

import (
	"reflect"
	"sync"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

// endpoint is what a connection says about the requests that it takes, compiled. It is immutable.
type endpoint struct {
	connection string
	ignoreCase bool
	paths      *templates
	api        *openapi
}

// compile reads what a connection's document says about its requests.
func compile(c *access.Connection) (*endpoint, error) {
	e := &endpoint{connection: c.Name}
	if c.HTTP == nil {
		return e, nil
	}
	e.ignoreCase = c.HTTP.IgnoreCase
	var err error
	if len(c.HTTP.Paths) > 0 {
		if e.paths, err = newTemplates(c.HTTP.Paths, e.ignoreCase); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// endpoints keeps what connections' documents compile to, one for each connection: the last one that was asked for.
type endpoints struct {
	mu  sync.Mutex
	all map[string]compiled
}

type compiled struct {
	doc *access.Connection
	e   *endpoint
	err error
}

func newEndpoints() *endpoints { return &endpoints{all: map[string]compiled{}} }

// of returns what a connection compiles to. A document that does not compile closes its connection, and says why.
func (k *endpoints) of(c *access.Connection) (*endpoint, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	had, ok := k.all[c.Name]
	if ok && (had.doc == c || reflect.DeepEqual(had.doc.HTTP, c.HTTP)) {
		return had.e, had.err
	}
	e, err := compile(c)
	if err != nil {
		err = fault.Wrap(fault.Unavailable, "http.compile", err, "what connection %s says about its requests cannot be used: %v", c.Name, err)
	}
	k.all[c.Name] = compiled{c, e, err}
	return e, err
}
