package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/access"
	"gatehouse/internal/api/message"
)

// Limits of what apply reads.
const (
	maxDocumentFile  = 1 << 20
	maxDocumentFiles = 10000
)

// kindOf is the kind that someone typed: singular or plural, in any case.
func kindOf(typed string) (string, error) {
	for _, k := range access.Kinds() {
		low := strings.ToLower(k)
		plural := low + "s"
		if stem, ok := strings.CutSuffix(low, "y"); ok {
			plural = stem + "ies"
		}
		if t := strings.ToLower(typed); t == low || t == plural {
			return k, nil
		}
	}
	return "", usagef("%q is no kind of document: use one of %s", typed, strings.ToLower(strings.Join(access.Kinds(), ", ")))
}

func (a *app) apply() *cobra.Command {
	var files []string
	var dryRun bool
	var output string
	c := a.remote(&cobra.Command{Use: "apply -f FILE", Short: "Write documents: connections, roles, policies, issuers", Args: args(0, 0, ""),
		Long: `Write documents, all of them or none. What would change is shown; documents that are already so are left alone.
The set as it would be is compiled first, and an error points at its line. The change takes effect at the next action.`,
		Example: "  gatehouse apply -f documents/ --dry-run\n  gatehouse apply -f orders-db.yaml -f roles.yaml\n  kustomize build . | gatehouse apply -f -",
		RunE: func(c *cobra.Command, _ []string) error {
			if len(files) == 0 {
				return usagef("say what to apply with -f: a file, a directory, or - for standard input")
			}
			sources, err := a.readSources(files)
			if err != nil {
				return err
			}
			cl, err := a.connect()
			if err != nil {
				return err
			}
			write := cl.Apply
			if dryRun {
				write = cl.Plan
			}
			plan, err := write(c.Context(), documentsOf(sources))
			if err != nil {
				return a.explainFindings(err, sources)
			}
			if output == asJSON {
				return a.writeJSON(plan)
			}
			a.printPlan(plan)
			return nil
		}})
	c.Flags().StringArrayVarP(&files, "file", "f", nil, "`file`, directory, or - for standard input; may be repeated")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "show what would change and change nothing")
	form(c, &output, asTable, asJSON)
	return c
}

func documentsOf(sources []Source) []access.Document {
	docs := make([]access.Document, len(sources))
	for i, s := range sources {
		docs[i] = s.Document
	}
	return docs
}

// readSources reads every named file, and the YAML and JSON files of every named directory, in order.
func (a *app) readSources(names []string) ([]Source, error) {
	var all []Source
	for _, name := range names {
		paths := []string{name}
		if name != "-" {
			var err error
			if paths, err = expand(name); err != nil {
				return nil, err
			}
		}
		for _, p := range paths {
			s, err := a.readSource(p)
			if err != nil {
				return nil, err
			}
			all = append(all, s...)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there are no documents in %s", strings.Join(names, ", "))
	}
	return all, twice(all)
}

// expand lists the documents' files below a directory; a file stands for itself.
func expand(name string) ([]string, error) {
	info, err := os.Stat(name)
	if err != nil || !info.IsDir() {
		return []string{name}, err
	}
	var paths []string
	err = filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
			paths = append(paths, path)
		}
		if len(paths) > maxDocumentFiles {
			return fmt.Errorf("%s holds more than %d files: name a smaller directory", name, maxDocumentFiles)
		}
		return err
	})
	return paths, err
}

func (a *app) readSource(path string) ([]Source, error) {
	in, shown := a.In, "standard input"
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in, shown = f, path
	}
	b, err := readBounded(in, maxDocumentFile, shown)
	if err != nil {
		return nil, err
	}
	return a.Documents.Parse(shown, b)
}

// twice refuses a document that two places give: which of them counts would depend on their order.
func twice(all []Source) error {
	seen := map[[2]string]string{}
	for _, s := range all {
		key := [2]string{s.Document.DocKind(), s.Document.DocName()}
		if first, ok := seen[key]; ok {
			return fmt.Errorf("%s: the %s %q is given here and in %s: keep one", s.File, key[0], key[1], first)
		}
		seen[key] = s.File
	}
	return nil
}

// explainFindings shows each finding at its line, where the document is one of those that were given.
func (a *app) explainFindings(err error, sources []Source) error {
	var p *message.Problem
	if !errors.As(err, &p) || len(p.Findings) == 0 {
		return err
	}
	var b strings.Builder
	for _, f := range p.Findings {
		at := slices.IndexFunc(sources, func(s Source) bool {
			return s.Document.DocKind() == f.Kind && s.Document.DocName() == f.Name
		})
		switch {
		case at >= 0:
			b.WriteString(strings.TrimRight(sources[at].Show(f.Path, f.Say), "\n"))
		default:
			fmt.Fprintf(&b, "%s %q, which is registered already: %s: %s", f.Kind, f.Name, f.Path, f.Say)
		}
		if f.Caret != "" {
			b.WriteString("\n" + strings.TrimRight(f.Caret, "\n"))
		}
		b.WriteString("\n\n")
	}
	fmt.Fprint(a.Err, visibleLines(b.String()), "gatehouse: ", p.Detail, "\n")
	return errFailed{err}
}

func (a *app) printPlan(p *message.Plan) {
	for _, c := range p.Changes {
		if c.Action == message.ActionUnchanged {
			continue
		}
		a.printf("%s %s %s\n", a.paint(effectColour(c.Action), c.Action), strings.ToLower(c.Kind), a.paint(bold, visible(c.Name)))
		for line := range strings.Lines(c.Diff) {
			line = strings.TrimRight(line, "\n")
			colour := ""
			switch {
			case strings.HasPrefix(line, "+"):
				colour = green
			case strings.HasPrefix(line, "-"):
				colour = red
			}
			line = visibleLines(line)
			if colour != "" {
				line = a.paint(colour, line)
			}
			a.printf("  %s\n", line)
		}
	}
	switch n := p.Changed(); {
	case n == 0:
		a.printf("nothing to change\n")
	case p.DryRun:
		a.printf("%s would change; nothing has been changed\n", plural(int64(n), "document"))
	default:
		a.printf("%s changed, in effect from the next action on (revision %d)\n", plural(int64(n), "document"), p.Revision)
	}
}

func (a *app) get() *cobra.Command {
	var output string
	c := a.remote(&cobra.Command{Use: "get KIND [NAME]", Short: "Show documents", Args: args(1, 2, "a KIND (issuer, policy, connection, role or all) and perhaps a NAME"),
		Long:    "Show documents. With a name, the document itself as YAML, ready for apply.",
		Example: "  gatehouse get connections\n  gatehouse get policy refund-function\n  gatehouse get all -o yaml > everything.yaml",
		RunE: func(c *cobra.Command, given []string) error {
			named := len(given) == 2
			if named && !c.Flags().Changed("output") {
				output = asYAML
			}
			docs, err := a.fetch(c.Context(), given)
			if err != nil {
				return err
			}
			return a.printDocuments(docs, output)
		}})
	form(c, &output, asTable, asYAML, asJSON)
	c.ValidArgsFunction = a.completeDocuments
	return c
}

func (a *app) fetch(ctx context.Context, given []string) ([]access.Document, error) {
	kind := ""
	if given[0] != "all" {
		var err error
		if kind, err = kindOf(given[0]); err != nil {
			return nil, err
		}
	} else if len(given) > 1 {
		return nil, usagef("a name needs its kind: gatehouse get %s %s", "policy", given[1])
	}
	cl, err := a.connect()
	if err != nil {
		return nil, err
	}
	if len(given) == 1 {
		return cl.Documents(ctx, kind)
	}
	d, err := cl.Document(ctx, kind, given[1])
	return []access.Document{d}, err
}

func (a *app) printDocuments(docs []access.Document, output string) error {
	switch output {
	case asJSON:
		list := message.DocumentList{Documents: []json.RawMessage{}}
		for _, d := range docs {
			b, err := message.EncodeDocument(d)
			if err != nil {
				return err
			}
			list.Documents = append(list.Documents, b)
		}
		return a.writeJSON(list.Documents)
	case asYAML:
		for i, d := range docs {
			b, err := a.Documents.Render(d)
			if err != nil {
				return err
			}
			if i > 0 {
				a.printf("---\n")
			}
			if a.Terminal {
				b = []byte(visibleLines(string(b))) // elsewhere the bytes are for apply, and stay as they are
			}
			a.printf("%s", b)
		}
		return nil
	}
	var rows [][]string
	for _, d := range docs {
		rows = append(rows, []string{strings.ToLower(d.DocKind()), d.DocName(), summary(d)})
	}
	slices.SortStableFunc(rows, func(x, y []string) int { return strings.Compare(x[0]+"\x00"+x[1], y[0]+"\x00"+y[1]) })
	if len(rows) == 0 {
		a.printf("none yet: gatehouse apply -f FILE writes some\n")
		return nil
	}
	a.table([]string{"KIND", "NAME", "WHAT"}, rows)
	return nil
}

// summary is a document in one line.
func summary(d access.Document) string {
	switch x := d.(type) {
	case *access.Connection:
		s := x.Type + " at " + x.Address
		if len(x.Guardrails) > 0 {
			s += ", guarded by " + strings.Join(x.Guardrails, ", ")
		}
		return s
	case *access.Role:
		if len(x.Policies) == 0 {
			return plural(int64(len(x.Bind)), "binding") + ", reviewers only"
		}
		return plural(int64(len(x.Bind)), "binding") + ", policies " + strings.Join(x.Policies, ", ")
	case *access.Issuer:
		kind := x.Kind
		if kind == "" {
			kind = string(access.Workload)
		}
		return kind + " tokens of " + x.URL
	case *access.Policy:
		var parts []string
		for _, e := range []string{"allow", "approve", "deny", "mask"} {
			n := 0
			for _, s := range x.Statements {
				if s.Effect == e {
					n++
				}
			}
			if n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", n, e))
			}
		}
		return strings.Join(parts, ", ")
	}
	return ""
}

func (a *app) delete() *cobra.Command {
	var output string
	c := a.remote(&cobra.Command{Use: "delete KIND NAME", Short: "Delete a document", Args: args(2, 2, "a KIND and a NAME"),
		Long:    "Delete a document. It is refused while another document needs it.",
		Example: "  gatehouse delete role refund-fn",
		RunE: func(c *cobra.Command, given []string) error {
			kind, err := kindOf(given[0])
			if err != nil {
				return err
			}
			cl, err := a.connect()
			if err != nil {
				return err
			}
			plan, err := cl.Delete(c.Context(), kind, given[1])
			if err != nil {
				return a.explainFindings(err, nil)
			}
			if output == asJSON {
				return a.writeJSON(plan)
			}
			a.printPlan(plan)
			return nil
		}})
	form(c, &output, asTable, asJSON)
	c.ValidArgsFunction = a.completeDocuments
	return c
}

// completionTimeout bounds how long a shell waits for names.
const completionTimeout = 2 * time.Second

// completeDocuments completes KIND, then NAME.
func (a *app) completeDocuments(c *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	switch len(given) {
	case 0:
		var words []string
		for _, k := range access.Kinds() {
			words = append(words, strings.ToLower(k))
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	case 1:
		if kind, err := kindOf(given[0]); err == nil {
			return a.names(c.Context(), kind), cobra.ShellCompDirectiveNoFileComp
		}
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// completeConnections completes a connection's name.
func (a *app) completeConnections(c *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(given) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.names(c.Context(), access.KindConnection), cobra.ShellCompDirectiveNoFileComp
}

func (a *app) names(ctx context.Context, kind string) []string {
	cl, err := a.connect()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	docs, err := cl.Documents(ctx, kind)
	if err != nil {
		return nil
	}
	var names []string
	for _, d := range docs {
		names = append(names, visible(d.DocName()))
	}
	return names
}
