// Package fault gives every error in Gatehouse one of a few kinds, so that each edge (a protocol, the API, the CLI)
// translates kinds into its own words in one place, and so that what a client may read is decided where the error is
// made and not where it is printed.
//
// An error that carries no kind is Internal, and its text is withheld from clients.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what a caller can do about an error. The names are stable: they appear in the API and in the audit log.
type Kind uint8

// The kinds. Do not reorder: Internal is the zero value, so that an error nobody classified says nothing to a client.
const (
	Internal        Kind = iota // a fault of Gatehouse itself; its text is for the log only
	Unauthenticated             // no token, or one that is not valid here
	Denied                      // the token is fine, policy says no
	Pending                     // an approval is needed and has not been given
	Malformed                   // the request cannot be understood
	Backend                     // the backend refused, failed or broke its protocol
	Unavailable                 // Gatehouse closes the gate: log, policy lease, keys, limits, lock
	NotFound                    // a document, session or approval that does not exist (or may not be known to)
	Conflict                    // the thing exists in another state than the request assumes
)

var names = [...]string{"internal", "unauthenticated", "denied", "pending", "malformed", "backend", "unavailable", "not_found", "conflict"}

// String returns the kind's stable name.
func (k Kind) String() string {
	if int(k) < len(names) {
		return names[k]
	}
	return names[Internal]
}

// Error is an error with a kind.
type Error struct {
	Op   string // what was being done, as package.Function or a short phrase: for the log
	Kind Kind
	Say  string // what the caller may read: what happened and what to do next; empty means only the kind's name is said
	Hint string // what the caller can do about it; optional
	Err  error  // the cause: for the log only
}

// Error returns the whole story, for the log.
func (e *Error) Error() string {
	s := e.Say
	if s == "" {
		s = e.Kind.String()
	}
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is an *Error with the same kind and no more detail, so that
// errors.Is(err, &fault.Error{Kind: fault.Denied}) asks for a kind.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && t.Op == "" && t.Say == "" && t.Err == nil
}

// New makes an error of a kind whose text a client may read.
func New(kind Kind, op, format string, args ...any) *Error {
	return &Error{Op: op, Kind: kind, Say: fmt.Sprintf(format, args...)}
}

// Wrap gives err a kind and a text that a client may read; err itself is for the log. Wrap of nil is nil.
func Wrap(kind Kind, op string, err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Kind: kind, Say: fmt.Sprintf(format, args...), Err: err}
}

// KindOf returns the kind of the outermost *Error in err's chain; Internal where there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Say returns what a client may read of err, and a hint that may be empty.
func Say(err error) (text, hint string) {
	var e *Error
	if !errors.As(err, &e) || e.Say == "" {
		return "the gateway could not do this; its log says why", ""
	}
	return e.Say, e.Hint
}
