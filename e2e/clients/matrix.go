package clients

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/e2e/pair"
)

// Features are the columns, in order.
func Features() []string {
	return []string{"login", "simple", "prepared", "pipeline", "batch", "copy in", "copy out", "cancel", "notify", "64 MiB", "null",
		"array", "tx errors", "reset", "bad token", "refusal", "pool", "migrate", "introspect"}
}

// Driver is one row.
type Driver struct {
	Name  string
	Short bool              // what it needs is there wherever the tests are
	Lacks map[string]string // features that the driver itself does not have, and why
	// InProcess runs a driver of Go; nil where Command is a program that prints lines of JSON.
	InProcess func(ctx context.Context, e *Env, r *Report)
	Command   func(dir string) []string
}

// Env says how to reach the gateway.
type Env struct {
	Host, Port string
	CAFile     string
	Token      string // of the role that may do everything
	Limited    string // of the role that may not touch the schema hidden
	Dir        string // this package's folder, where the programs are
}

// Cell is what became of one feature of one driver.
type Cell struct {
	Driver  string `json:"driver"`
	Feature string `json:"feature"`
	OK      bool   `json:"ok"`
	None    bool   `json:"none,omitempty"` // the driver has no such feature: Detail says why
	Detail  string `json:"detail,omitempty"`
}

// Report collects what a driver says.
type Report struct {
	said map[string]error
}

// Do runs one feature.
func (r *Report) Do(feature string, f func() error) {
	if _, ok := r.said[feature]; ok {
		r.said[feature] = errors.New("was run twice")
		return
	}
	r.said[feature] = f()
}

// Seed makes what the drivers work on. The superuser runs it.
const Seed = `
CREATE SCHEMA tables AUTHORIZATION app;
SET ROLE app;
CREATE TABLE tables.work (id integer, name text, tags text[]);
CREATE TABLE tables.parents (id integer PRIMARY KEY, name varchar(40) NOT NULL UNIQUE);
CREATE TABLE tables.children (id integer PRIMARY KEY, parent_id integer NOT NULL REFERENCES tables.parents, note text);
CREATE INDEX children_parent ON tables.children (parent_id);
RESET ROLE;
CREATE SCHEMA hidden;
CREATE TABLE hidden.things (id integer);
`

// patience bounds one driver.
const patience = 2 * time.Minute

// Run runs drivers one after the other. dir is this package's folder.
func Run(ctx context.Context, p *pair.Pair, dir string, drivers []Driver) ([]Cell, error) {
	e, err := environment(ctx, p, dir)
	if err != nil {
		return nil, err
	}
	var all []Cell
	for _, d := range drivers {
		r := &Report{said: map[string]error{}}
		bounded, cancel := context.WithTimeout(ctx, patience)
		if d.InProcess != nil {
			d.InProcess(bounded, e, r)
		} else {
			runProgram(bounded, e, r, d.Command(e.Dir))
		}
		cancel()
		all = append(all, d.cells(r)...)
	}
	return all, ctx.Err()
}

func environment(ctx context.Context, p *pair.Pair, dir string) (*Env, error) {
	host, port, err := p.Address()
	if err != nil {
		return nil, err
	}
	e := &Env{Host: host, Port: port, CAFile: p.Gateway.CAFile()}
	if e.Dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if e.Token, err = p.Gateway.Token(ctx, pair.Everything); err != nil {
		return nil, err
	}
	e.Limited, err = p.Gateway.Token(ctx, pair.Limited)
	return e, err
}

// URL is a connection string as a user would write it.
func (e *Env) URL(token string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword("fn", token), Host: e.Host + ":" + e.Port, Path: pair.Connection,
		RawQuery: "sslmode=verify-full&sslrootcert=" + url.QueryEscape(e.CAFile)}
	return u.String()
}

// environ is the same as libpq and its kin read it.
func (e *Env) environ(token string) []string {
	return append(os.Environ(), "PGHOST="+e.Host, "PGPORT="+e.Port, "PGUSER=fn", "PGDATABASE="+pair.Connection, "PGPASSWORD="+token,
		"PGSSLMODE=verify-full", "PGSSLROOTCERT="+e.CAFile, "LIMITED_TOKEN="+e.Limited, "PAGER=cat")
}

// cells are one driver's row.
func (d *Driver) cells(r *Report) []Cell {
	var row []Cell
	for _, f := range Features() {
		c := Cell{Driver: d.Name, Feature: f}
		err, said := r.said[f]
		why, lacks := d.Lacks[f]
		switch {
		case lacks && said:
			c.Detail = "the table says that the driver lacks this, and it was run"
		case lacks:
			c.None, c.Detail = true, why
		case !said:
			c.Detail = "was not run"
			if err := r.said["program"]; err != nil {
				c.Detail += ": " + err.Error()
				delete(r.said, "program") // once is enough
			}
		case err != nil:
			c.Detail = err.Error()
		default:
			c.OK = true
		}
		row = append(row, c)
	}
	return row
}

// line is what a program prints for a feature.
type line struct {
	Feature string `json:"feature"`
	OK      bool   `json:"ok"`
	Detail  string `json:"detail"`
}

// stuck is when a program counts as stuck that has ended, and whose output has not.
const stuck = time.Minute

// runProgram runs a driver of another language.
func runProgram(ctx context.Context, e *Env, r *Report, args []string) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = e.environ(e.Token), e.Dir, stuck
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	lines := bufio.NewScanner(&out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l line
		if json.Unmarshal(lines.Bytes(), &l) != nil || !slices.Contains(Features(), l.Feature) {
			err = errors.Join(err, fmt.Errorf("it printed %.200q", lines.Text()))
			continue
		}
		r.Do(l.Feature, func() error {
			if l.OK {
				return nil
			}
			return errors.New(cmpOr(l.Detail, "failed"))
		})
	}
	if err != nil {
		r.said["program"] = fmt.Errorf("%w: %s", err, last(strings.TrimSpace(errs.String()), 600))
	}
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func last(s string, n int) string { return s[max(0, len(s)-n):] }
