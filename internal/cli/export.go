package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
)

const (
	ownFormat   = "gatehouse"
	asDocument  = "document"
	maxImported = 1 << 20 // bytes of a document of another language
)

// export holds the flags of policy export.
type export struct {
	role, connection, since, format, name, out, output string
	exact                                              bool
}

func (a *app) exportPolicy() *cobra.Command {
	var e export
	c := a.remote(&cobra.Command{Use: "export", Short: "Write what a role did as the least policy that allows it, for review", Args: args(0, 0, ""),
		Long: `Write what a role did, as the audit log has it, as the least policy that allows it: the actions that were let through, on the
resources that they were on. Nothing is changed: read the policy, then apply it.

What the policy cannot say is noted on standard error, and before the policy where its language has comments: it knows only what
was seen; conditions are not inferred; what was refused is listed, and not granted; what was not understood is not in it. Of more
than 20 resources of one action below one path or object prefix the prefix is written, with a * behind it; and of paths that a
template of their connection matches, the template. --exact writes every resource instead.`,
		Example: "  gatehouse policy export --role refund-fn --since 720h\n" +
			"  gatehouse policy export --role refund-fn --connection orders-db --out refund-fn.yaml\n" +
			"  gatehouse policy export --role uploader --format aws-iam --since 2026-01-31 --exact > policy.json",
		RunE: func(c *cobra.Command, _ []string) error { return a.runExport(c.Context(), &e) }})
	f := c.Flags()
	f.StringVar(&e.role, "role", "", "the role's `name`")
	f.StringVar(&e.connection, "connection", "", "only what it did on this connection")
	f.StringVar(&e.since, "since", "", "only what it did since a `date` such as 2026-01-31, or within a time such as 720h")
	f.StringVar(&e.format, "format", ownFormat, "the policy's `language`: "+strings.Join(a.formatNames(true), " or "))
	f.StringVar(&e.name, "name", "", "the policy's `name` (default the role's, with -observed behind it)")
	f.StringVar(&e.out, "out", "", "write the policy into this `file`, which must not exist")
	f.BoolVar(&e.exact, "exact", false, "write every resource, however many they are")
	form(c, &e.output, asDocument, asJSON)
	a.completeNames(c, "role", access.KindRole)
	a.completeNames(c, "connection", access.KindConnection)
	a.completeFormats(c, true)
	return c
}

func (a *app) runExport(ctx context.Context, e *export) error {
	if e.role == "" {
		return usagef("--role is needed: gatehouse get role lists them")
	}
	if err := a.knownFormat(e.format, true); err != nil {
		return err
	}
	since, err := a.moment(e.since)
	if err != nil {
		return err
	}
	cl, err := a.connect()
	if err != nil {
		return err
	}
	if a.Terminal {
		fmt.Fprintf(a.Err, "reading the audit log…\r")
	}
	p, err := cl.ExportPolicy(ctx, e.role, e.connection, e.format, e.name, since, e.exact)
	if a.Terminal {
		fmt.Fprintf(a.Err, "%s\r", strings.Repeat(" ", len("reading the audit log…")))
	}
	if err != nil {
		return err
	}
	if e.output == asJSON {
		return a.writeJSON(p)
	}
	a.notes(p.Notes)
	return a.hand(e.out, p.Document)
}

// notes go to standard error, so that what is on standard output can be handed on.
func (a *app) notes(notes []string) {
	for _, n := range notes {
		fmt.Fprintf(a.Err, "note: %s\n", visible(n))
	}
}

// hand writes a document to a new file, or to standard output.
func (a *app) hand(file, document string) error {
	if file == "" {
		if a.Terminal {
			document = visibleLines(document) // elsewhere the bytes are for apply, and stay as they are
		}
		a.printf("%s", document)
		return nil
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fault.Wrap(fault.Malformed, "cli.hand", err, "the policy cannot be written: %v", err)
	}
	if _, err = f.WriteString(document); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}

// moment reads a date, or how long ago.
func (a *app) moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return a.Clock().Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("--since %s is neither a date such as 2026-01-31 nor a time such as 720h", s)
}

func (a *app) importPolicy() *cobra.Command {
	var format, name, connection, output string
	c := &cobra.Command{Use: "import FILE", Short: "Read a policy of another language as a Policy, ready for apply", Args: args(1, 1, "a FILE, or - for standard input"),
		Long: `Read a policy of another language, and print it as a Policy. No gateway needs to run, and nothing is applied.

What cannot be said as a Policy is an error that names it, and never left out. Where the Policy is stricter than what was read, a
note on standard error says so; it is never less strict. As anywhere, what no statement allows is denied.`,
		Example: "  gatehouse policy import --format aws-iam policy.json --name uploader\n" +
			"  gatehouse policy import --format aws-iam - --name uploader --connection account < policy.json | gatehouse apply -f - --dry-run",
		RunE: func(_ *cobra.Command, given []string) error {
			if name == "" {
				return usagef("--name is needed: the Policy's name")
			}
			if err := a.knownFormat(format, false); err != nil {
				return err
			}
			raw, err := a.given(given[0])
			if err != nil {
				return err
			}
			i := slices.IndexFunc(a.Documents.Formats, func(f Format) bool { return f.Name == format })
			p, notes, err := a.Documents.Formats[i].Import(raw, name, connection)
			if err != nil {
				return err
			}
			a.notes(notes)
			return a.printDocuments([]access.Document{p}, output)
		}}
	f := c.Flags()
	f.StringVar(&format, "format", "", "the `language` to read: "+strings.Join(a.formatNames(false), " or "))
	f.StringVar(&name, "name", "", "the Policy's `name`")
	f.StringVar(&connection, "connection", "", "the Policy is about this connection alone; without it, about every one that the language is about")
	form(c, &output, asYAML, asJSON)
	a.completeFormats(c, false)
	a.completeNames(c, "connection", access.KindConnection)
	return c
}

// given reads a file, or standard input.
func (a *app) given(name string) ([]byte, error) {
	if name == "-" {
		return readBounded(a.In, maxImported, "standard input")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fault.Wrap(fault.Malformed, "cli.given", err, "%v", err)
	}
	defer func() { _ = f.Close() }()
	return readBounded(f, maxImported, name)
}

// formatNames are the policy languages; own is with the gateway's own.
func (a *app) formatNames(own bool) []string {
	var names []string
	if own {
		names = append(names, ownFormat)
	}
	for _, f := range a.Documents.Formats {
		names = append(names, f.Name)
	}
	return names
}

func (a *app) knownFormat(name string, own bool) error {
	if names := a.formatNames(own); !slices.Contains(names, name) {
		return usagef("--format %s is not one of %s", name, strings.Join(names, ", "))
	}
	return nil
}

func (a *app) completeFormats(c *cobra.Command, own bool) {
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(a.formatNames(own), cobra.ShellCompDirectiveNoFileComp))
}

// completeNames completes a flag with the names of the documents of a kind.
func (a *app) completeNames(c *cobra.Command, flag, kind string) {
	_ = c.RegisterFlagCompletionFunc(flag, func(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		return a.names(c.Context(), kind), cobra.ShellCompDirectiveNoFileComp
	})
}
