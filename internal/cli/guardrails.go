package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/access"
)

// Guardrail is a policy that ships with the binary.
type Guardrail struct {
	Name     string
	Document []byte // YAML, with its comments
}

func (a *app) guardrails() *cobra.Command {
	return group("guardrails", "The guardrails that ship", `Guardrails are policies that bind everyone who uses a connection. These ship with the gateway: a connection names them in
its guardrails, and they are in effect. Apply a copy to change one: a policy that is applied under the same name takes its
place.`, a.guardrailsList(), a.guardrailsShow())
}

func (a *app) guardrailsList() *cobra.Command {
	var output string
	c := &cobra.Command{Use: "list", Short: "List the guardrails that ship", Args: args(0, 0, ""),
		Long:    "List the guardrails that ship, and what each is for. No gateway needs to run.",
		Example: "  gatehouse guardrails list\n  gatehouse guardrails list -o yaml > guardrails.yaml",
		RunE: func(*cobra.Command, []string) error {
			docs, err := a.readyDocuments("")
			if err != nil {
				return err
			}
			if output == asTable {
				var rows [][]string
				for _, d := range docs {
					if p, ok := d.(*access.Policy); ok {
						rows = append(rows, []string{p.Name, p.Description})
					}
				}
				a.table([]string{"NAME", "WHAT"}, rows)
				return nil
			}
			return a.printDocuments(docs, output)
		}}
	form(c, &output, asTable, asYAML, asJSON)
	return c
}

func (a *app) guardrailsShow() *cobra.Command {
	var output string
	c := &cobra.Command{Use: "show NAME", Short: "Show one of the guardrails that ship", Args: args(1, 1, "a NAME"),
		Long: "Show a guardrail that ships, as the document that it is: with its comments as YAML, ready for apply. No gateway needs to run.",
		Example: "  gatehouse guardrails show read-only\n  gatehouse guardrails show read-only | gatehouse apply -f -\n" +
			"  gatehouse guardrails show no-destructive-ddl -o json",
		RunE: func(_ *cobra.Command, given []string) error {
			if output == asYAML {
				i := slices.IndexFunc(a.Documents.Guardrails, func(g Guardrail) bool { return g.Name == given[0] })
				if i < 0 {
					return a.noGuardrail(given[0])
				}
				a.printf("%s", a.Documents.Guardrails[i].Document)
				return nil
			}
			docs, err := a.readyDocuments(given[0])
			if err != nil {
				return err
			}
			return a.printDocuments(docs, output)
		}}
	form(c, &output, asYAML, asJSON)
	c.ValidArgsFunction = func(_ *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(given) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return a.guardrailNames(), cobra.ShellCompDirectiveNoFileComp
	}
	return c
}

// readyDocuments parses the guardrail of a name, or all.
func (a *app) readyDocuments(name string) ([]access.Document, error) {
	var docs []access.Document
	for _, g := range a.Documents.Guardrails {
		if name != "" && g.Name != name {
			continue
		}
		parsed, err := a.Documents.Parse(g.Name, g.Document)
		if err != nil {
			return nil, err
		}
		docs = append(docs, documentsOf(parsed)...)
	}
	if name != "" && len(docs) == 0 {
		return nil, a.noGuardrail(name)
	}
	return docs, nil
}

func (a *app) noGuardrail(name string) error {
	return usagef("%q is no guardrail that ships: use one of %s", name, strings.Join(a.guardrailNames(), ", "))
}

func (a *app) guardrailNames() []string {
	names := make([]string, 0, len(a.Documents.Guardrails))
	for _, g := range a.Documents.Guardrails {
		names = append(names, g.Name)
	}
	return names
}
