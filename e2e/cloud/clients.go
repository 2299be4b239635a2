package cloud

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// Features are the columns, in order.
func Features() []string {
	return []string{"buckets", "objects", "lists", "copies", "ranges", "multipart", "checksums", "names", "conditions", "presigned", "errors", "large",
		"tables", "items", "conditional", "queries", "batches", "transactions", "queues", "messages", "message batches", "identity"}
}

// Client is one row: a program that does what the columns say, and prints a line of JSON for each.
type Client struct {
	Name  string
	Short bool              // what it needs is there wherever the tests are
	Lacks map[string]string // features that the client itself does not have, and why
	args  []string
}

// Clients are the rows.
func Clients() []Client {
	return []Client{
		{Name: "go", Short: true, args: []string{program("gosdk")}},
		{Name: "javascript", Short: true, args: []string{"node", stock("js", "main.mjs")}},
		{Name: "boto3", Short: true, args: []string{"/usr/bin/python3", stock("python", "boto.py")}},
		{Name: "cli", args: []string{"/usr/bin/python3", stock("python", "cli.py")}},
	}
}

// Cell is what became of one feature of one client.
type Cell struct {
	Client  string `json:"client"`
	Feature string `json:"feature"`
	OK      bool   `json:"ok"`
	None    bool   `json:"none,omitempty"` // the client has no such feature: Detail says why
	Detail  string `json:"detail,omitempty"`
	Saw     string `json:"-"` // what has to be the same whatever serves the client
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

// Run runs one client in an environment. Everything that it makes is called name.
func (c *Client) Run(ctx context.Context, env []string, name string) []Cell {
	out, errs, err := c.run(ctx, append(env, "NAME="+name))
	said := map[string]line{}
	lines := bufio.NewScanner(strings.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var l line
		if json.Unmarshal(lines.Bytes(), &l) != nil || !slices.Contains(Features(), l.Feature) {
			err = errors.Join(err, fmt.Errorf("it printed %.200q", lines.Text()))
			continue
		}
		said[l.Feature] = l
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, errs[max(0, len(errs)-600):])
	}
	var row []Cell
	for _, f := range Features() {
		cell := Cell{Client: c.Name, Feature: f}
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
		row = append(row, cell)
	}
	return row
}

// Call has a client do one call, and returns what it prints: what came, or the code and the message of the error as the client
// itself understands it.
func (c *Client) Call(ctx context.Context, env []string, call ...string) (string, error) {
	out, errs, err := c.run(ctx, env, call...)
	if err != nil {
		return "", fmt.Errorf("%s %v: %w: %s", c.Name, call, err, errs)
	}
	return strings.TrimSuffix(out, "\n"), nil
}

func (c *Client) run(ctx context.Context, env []string, more ...string) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.args[0], slices.Concat(c.args[1:], more)...)
	cmd.Env, cmd.WaitDelay = env, time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}
