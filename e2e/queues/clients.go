package queues

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// The protocols, as gateways call their listeners.
const (
	AMQP = "amqp"
	NATS = "nats"
)

// Features are the rows of a protocol's matrix, in order.
func Features(protocol string) []string {
	if protocol == AMQP {
		return []string{"connect", "confirms", "returns", "prefetch", "acks", "get", "queues", "exchanges", "reply-to", "transactions",
			"properties", "large", "channels", "redelivery", "cancel", "dead letters", "errors", "many"}
	}
	return []string{"connect", "publish", "wildcards", "queue groups", "requests", "no responders", "headers", "unsubscribe", "drain",
		"max payload", "many", "streams", "publish acks", "pull", "push", "ordered", "acks", "key-value", "objects", "errors"}
}

// Client is a column: a program that does what the rows say, and prints a line of JSON for each.
type Client struct {
	Name     string
	Protocol string
	Lacks    map[string]string // features that the client itself does not have, and why
	args     []string
}

// Clients are the columns of both matrices.
func Clients() []Client {
	return []Client{
		{Name: "amqp091-go", Protocol: AMQP, args: []string{program("goamqp")}},
		{Name: "Pika", Protocol: AMQP, args: []string{"/usr/bin/python3", stock("python", "pika_client.py")}},
		{Name: "amqplib", Protocol: AMQP, args: []string{"node", stock("js", "amqp.mjs")},
			Lacks: map[string]string{"transactions": "it has no such call"}},
		{Name: "amqp-tools", Protocol: AMQP, args: []string{"/usr/bin/python3", stock("python", "tools.py")}, Lacks: amqpTools()},
		{Name: "nats.go", Protocol: NATS, args: []string{program("gonats")}},
		{Name: "nats.js", Protocol: NATS, args: []string{"node", stock("js", "nats.mjs")}},
		{Name: "nats CLI", Protocol: NATS, args: []string{"/usr/bin/python3", stock("python", "cli.py"), program("nats")}, Lacks: natsCLI()},
	}
}

// lacking is all features of a protocol but some, for one reason.
func lacking(protocol, why string, but ...string) map[string]string {
	m := map[string]string{}
	for _, f := range Features(protocol) {
		if !slices.Contains(but, f) {
			m[f] = why
		}
	}
	return m
}

func amqpTools() map[string]string {
	return lacking(AMQP, "four commands: declare, publish, get and consume", "prefetch", "get", "queues", "properties", "large", "errors")
}

func natsCLI() map[string]string {
	return lacking(NATS, "a command line: a connection for each command", "publish", "requests", "no responders", "headers",
		"max payload", "many", "streams", "publish acks", "pull", "key-value", "objects", "errors")
}

// root is the folder of the repository.
func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

func stock(elements ...string) string {
	return filepath.Join(append([]string{root(), "e2e", "queues", "stock"}, elements...)...)
}

// program is what scripts/queues.sh built.
func program(name string) string { return filepath.Join(root(), "bin", "queues", name) }

// Cell is what became of one feature of one client.
type Cell struct {
	Client   string `json:"client"`
	Protocol string `json:"protocol"`
	Feature  string `json:"feature"`
	OK       bool   `json:"ok"`
	None     bool   `json:"none,omitempty"` // the client has no such feature: Detail says why
	Detail   string `json:"detail,omitempty"`
	Saw      string `json:"-"` // what has to be the same whatever serves the client
}

// patience bounds one client.
const patience = 5 * time.Minute

// line is what a program prints for a feature.
type line struct {
	Feature string `json:"feature"`
	OK      bool   `json:"ok"`
	Detail  string `json:"detail"`
	Saw     string `json:"saw"`
}

// Run runs one client somewhere. Everything that it makes is called name. No features are all.
func (c *Client) Run(ctx context.Context, at Place, name string, short bool, features ...string) []Cell {
	out, errs, err := c.run(ctx, at, name, short, features)
	said := map[string]line{}
	lines := bufio.NewScanner(strings.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l line
		if json.Unmarshal(lines.Bytes(), &l) != nil || !slices.Contains(Features(c.Protocol), l.Feature) {
			err = errors.Join(err, fmt.Errorf("it printed %.200q", lines.Text()))
			continue
		}
		said[l.Feature] = l
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, errs[max(0, len(errs)-600):])
	}
	var column []Cell
	for _, f := range Features(c.Protocol) {
		if len(features) > 0 && !slices.Contains(features, f) {
			continue
		}
		cell := Cell{Client: c.Name, Protocol: c.Protocol, Feature: f}
		l, ran := said[f]
		why, lacks := c.Lacks[f]
		switch {
		case lacks && ran:
			cell.Detail = "the table says that the client lacks this, and it was run"
		case lacks:
			cell.None, cell.Detail = true, why
		case !ran:
			cell.Detail = fmt.Sprint("was not run: ", err)
		default:
			cell.OK, cell.Detail, cell.Saw = l.OK, l.Detail, l.Saw
		}
		column = append(column, cell)
	}
	return column
}

func (c *Client) run(ctx context.Context, at Place, name string, short bool, features []string) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.args[0], slices.Concat(c.args[1:], features)...)
	cmd.Env, cmd.WaitDelay = append(os.Environ(), "URL="+at.URL, "CA_FILE="+at.CAFile, "NAME="+name), time.Second
	if short {
		cmd.Env = append(cmd.Env, "SHORT=1")
	}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}
