package http

import (
	"fmt"
	"maps"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/wire"
	"gatehouse/internal/wire/exchange"
)

// endpoint is what a connection says about the requests that it takes, compiled. What is read of it is immutable.
type endpoint struct {
	connection string
	base       access.Endpoint
	ignoreCase bool
	paths      *templates
	api        *openapi
	operations string // the digest of api's actions, as policies were compiled with them where nothing has changed
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
	e.operations = wire.DigestOf(e.api.verbs())
	e.schemas.reflection = c.HTTP.Reflection
	if e.schemas.read, err = descriptorsOf(c); err != nil {
		return nil, err
	}
	if len(c.HTTP.Paths) > 0 {
		if e.paths, err = newTemplates(c.HTTP.Paths, e.ignoreCase); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// endpoints keeps what connections' documents compile to, one for each connection: the last one that was asked for, while it is used.
type endpoints struct {
	clock func() time.Time
	mu    sync.Mutex
	all   map[string]*compiled
}

const (
	lookAgain = time.Second // after which it is looked whether a file has changed
	unused    = time.Hour   // after which what nobody asked for is dropped: its connection may be gone
)

// compiled is what the document of a connection compiles to, with the files that it names.
type compiled struct {
	doc  *access.Connection // guarded by endpoints.mu, as is used
	used time.Time

	mu  sync.Mutex // held while it is compiled
	now atomic.Pointer[outcome]
}

// outcome is what came of it. It is immutable.
type outcome struct {
	stamps wire.Stamps
	e      *endpoint
	err    error
	due    time.Time // when the files are looked at again; zero where there are none
}

// good reports whether it need not be looked whether it still holds.
func (o *outcome) good(now time.Time) bool {
	return o != nil && (o.due.IsZero() || now.Before(o.due))
}

func newEndpoints(clock func() time.Time) *endpoints {
	return &endpoints{clock: clock, all: map[string]*compiled{}}
}

// of returns what a connection compiles to. A document that does not compile closes its connection, and says why; so does a file that
// it names, until it is mended, and one whose actions the policies do not know yet.
func (k *endpoints) of(c *access.Connection) (*endpoint, error) {
	now := k.clock()
	had := k.entry(c, now)
	o := had.now.Load()
	if !o.good(now) {
		o = had.look(c, k.clock, now)
	}
	switch {
	case o.err != nil:
		return nil, o.err
	case c.Operations != "" && c.Operations != o.e.operations:
		e := fault.New(fault.Unavailable, "http.compile", "the document that is attached to connection %s has changed, and the policies have not taken up its actions", c.Name)
		e.Hint = "Try again shortly; the gateway's log says what is wrong where it stays so."
		return nil, e
	}
	return o.e, nil
}

// entry finds the place of a connection. Whoever makes a new one drops those that nobody uses any more.
func (k *endpoints) entry(c *access.Connection, now time.Time) *compiled {
	k.mu.Lock()
	defer k.mu.Unlock()
	had := k.all[c.Name]
	switch {
	case had == nil || had.doc != c && !same(had.doc, c):
		maps.DeleteFunc(k.all, func(_ string, x *compiled) bool { return now.Sub(x.used) > unused })
		had = &compiled{doc: c}
		k.all[c.Name] = had
	case had.doc != c: // published again, unchanged
		had.doc = c
	}
	had.used = now
	return had
}

// look compiles c where it has not been, or where a file that it names has changed since.
func (x *compiled) look(c *access.Connection, clock func() time.Time, now time.Time) *outcome {
	x.mu.Lock()
	defer x.mu.Unlock()
	o := x.now.Load()
	if o.good(now) { // somebody else has looked
		return o
	}
	names := files(c)
	next := &outcome{stamps: wire.StampsOf(names)} // before they are read: what changes meanwhile is seen the next time
	if len(names) > 0 {
		next.due = now.Add(lookAgain)
	}
	if o != nil && o.stamps.Same(next.stamps) {
		next.e, next.err = o.e, o.err
	} else if next.e, next.err = compile(c, clock); next.err != nil {
		next.err = fault.Wrap(fault.Unavailable, "http.compile", next.err, "what connection %s says about its requests cannot be used: %v", c.Name, next.err)
	}
	x.now.Store(next)
	return next
}

// same reports whether two versions of a connection's document compile to the same.
func same(a, b *access.Connection) bool {
	return a.Address == b.Address && reflect.DeepEqual(a.HTTP, b.HTTP) && reflect.DeepEqual(a.Credential, b.Credential)
}
