// Package feature runs what a client of queues can do, one feature after the other, and prints a line of JSON for each: whether
// it worked, and what the client saw of it, which has to be the same whatever serves the client.
package feature

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Patience bounds whatever a feature waits for.
const Patience = 60 * time.Second

// Program is one run.
type Program struct {
	Name string // what everything that it makes begins with
	URL  string
	only []string
}

// New reads the environment, and the features that the arguments name; none are all.
func New() *Program {
	return &Program{Name: os.Getenv("NAME"), URL: os.Getenv("URL"), only: os.Args[1:]}
}

// TLS trusts the root that the environment names.
func (p *Program) TLS() *tls.Config {
	raw, err := os.ReadFile(os.Getenv("CA_FILE"))
	pool := x509.NewCertPool()
	if err != nil || !pool.AppendCertsFromPEM(raw) {
		fmt.Fprintln(os.Stderr, "CA_FILE:", err)
		os.Exit(1)
	}
	return &tls.Config{RootCAs: pool, ServerName: "localhost", MinVersion: tls.VersionTLS12}
}

// Saw collects what a feature saw.
type Saw struct{ lines []string }

// Note adds a line.
func (s *Saw) Note(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

// Same adds a value that has to be what the feature expects of it.
func (s *Saw) Same(what string, got, want any) {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		panic(fmt.Errorf("%s: %v, want %v", what, got, want))
	}
	s.Note("%s: %v", what, got)
}

// Must ends the feature where there is an error.
func Must[T any](v T, err error) T {
	Check(err)
	return v
}

// Check ends the feature where there is an error.
func Check(err error) {
	if err != nil {
		panic(err)
	}
}

// Take waits for one of a channel.
func Take[T any](what string, c <-chan T) T {
	select {
	case v, open := <-c:
		if !open {
			panic(fmt.Errorf("%s: the channel was closed", what))
		}
		return v
	case <-time.After(Patience):
		panic(fmt.Errorf("waited in vain for %s", what))
	}
}

// given is what servers name.
var given = regexp.MustCompile(`amq\.(gen|ctag)-[A-Za-z0-9_-]+|_INBOX\.[A-Za-z0-9.]+`)

// Do runs one feature.
func (p *Program) Do(feature string, f func(*Saw)) {
	if len(p.only) > 0 && !slices.Contains(p.only, feature) {
		return
	}
	saw := &Saw{}
	err := func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				failed, ok := r.(error)
				if !ok {
					panic(r)
				}
				err = errors.Join(err, failed)
			}
		}()
		f(saw)
		return nil
	}()
	text := strings.ReplaceAll(strings.Join(saw.lines, "\n"), p.Name, "NAME")
	line := map[string]any{"feature": feature, "ok": err == nil, "saw": given.ReplaceAllString(text, "GIVEN")}
	if err != nil {
		line["detail"] = err.Error()
	}
	out, _ := json.Marshal(line) // of strings
	fmt.Println(string(out))
}

// Lines are what was seen so far.
func (s *Saw) Lines() []string { return s.lines }

// Sort puts what was seen so far in order, where a feature saw it in none.
func (s *Saw) Sort() { slices.Sort(s.lines) }
