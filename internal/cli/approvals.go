package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/access"
	"gatehouse/internal/cli/client"
)

func (a *app) approvals() *cobra.Command {
	return group("approvals", "Answer what waits for a person",
		`Statements that a policy holds wait for a reviewer. A reviewer answers with their own token (--token-file or
$GATEHOUSE_TOKEN); nobody answers their own request. An approval is for exactly one action, and is used up by it.`,
		a.listApprovals(), a.showApproval(), a.approve(), a.deny(), a.watchApprovals())
}

func (a *app) listApprovals() *cobra.Command {
	var output, state string
	c := a.remote(&cobra.Command{Use: "list", Short: "List what waits", Args: args(0, 0, ""),
		Example: "  gatehouse approvals list\n  gatehouse approvals list --state all -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.connect()
			if err != nil {
				return err
			}
			list, err := cl.Approvals(c.Context(), state)
			if err != nil {
				return err
			}
			if output == asJSON {
				return a.writeJSON(list)
			}
			if len(list) == 0 {
				a.printf("nothing waits for you\n")
				return nil
			}
			var rows [][]string
			for i := range list {
				rows = append(rows, a.approvalRow(&list[i]))
			}
			a.table([]string{"ID", "STATE", "AGE", "PRINCIPAL", "CONNECTION", "REVIEWERS", "TEXT"}, rows)
			return nil
		}})
	c.Flags().StringVar(&state, "state", "pending", "pending, approved, denied, expired, cancelled, spent or all")
	form(c, &output, asTable, asJSON)
	return c
}

func (a *app) approvalRow(p *access.Approval) []string {
	return []string{p.ID, string(p.State), age(a.Clock().Sub(p.RequestedAt)), p.Principal, p.Connection, reviewers(p.Reviewers), short(p.Text, 60)}
}

func (a *app) showApproval() *cobra.Command {
	var output string
	c := a.remote(&cobra.Command{Use: "show ID", Short: "Show one approval, whole", Args: args(1, 1, "an approval's ID"),
		Example: "  gatehouse approvals show k7mq-2vxa",
		RunE: func(c *cobra.Command, given []string) error {
			cl, err := a.connect()
			if err != nil {
				return err
			}
			p, err := cl.Approval(c.Context(), given[0])
			if err != nil {
				return err
			}
			if output == asJSON {
				return a.writeJSON(p)
			}
			a.printApproval(p)
			return nil
		}})
	form(c, &output, asTable, asJSON)
	c.ValidArgsFunction = a.completeApprovals
	return c
}

func (a *app) printApproval(p *access.Approval) {
	var actions []string
	for _, x := range p.Actions {
		actions = append(actions, x.Name+" on "+x.Resource)
	}
	a.pairs("id", p.ID, "state", string(p.State), "principal", p.Principal, "roles", strings.Join(p.Roles, ", "), "connection", p.Connection,
		"session", p.Session, "actions", strings.Join(actions, "; "), "held by", because(p.Because), "message", p.Message,
		"reviewers", reviewers(p.Reviewers), "requested", clock(p.RequestedAt), "expires", clock(p.ExpiresAt), "answered", clock(p.AnsweredAt),
		"reviewer", p.Reviewer, "reason", p.Reason, "digest", p.Digest)
	if p.Reuse {
		a.printf("It outlives its client: the same principal may run the same text once until it expires.\n")
	}
	a.printf("\n%s\n", indent(visibleLines(p.Text), "  "))
	a.parameters(p.Params, "  ")
}

func (a *app) approve() *cobra.Command {
	return a.answer("approve", "Let the held action run, once", "approved", "k7mq-2vxa --reason 'ticket 42: double charge'",
		func(ctx context.Context, cl *client.Client, id, reason string) (*access.Approval, error) {
			return cl.Approve(ctx, id, reason)
		})
}

func (a *app) deny() *cobra.Command {
	return a.answer("deny", "Refuse the held action", "denied", "k7mq-2vxa --reason 'no ticket'",
		func(ctx context.Context, cl *client.Client, id, reason string) (*access.Approval, error) {
			return cl.Deny(ctx, id, reason)
		})
}

func (a *app) answer(verb, about, done, example string, do func(context.Context, *client.Client, string, string) (*access.Approval, error)) *cobra.Command {
	var reason, output string
	c := a.remote(&cobra.Command{Use: verb + " ID --reason R", Short: about, Args: args(1, 1, "an approval's ID"),
		Example: "  gatehouse approvals " + verb + " " + example,
		RunE: func(c *cobra.Command, given []string) error {
			if strings.TrimSpace(reason) == "" {
				return usagef("--reason is needed: it is recorded, and the requester sees it")
			}
			cl, err := a.connect()
			if err != nil {
				return err
			}
			p, err := do(c.Context(), cl, given[0], reason)
			if err != nil {
				return err
			}
			if output == asJSON {
				return a.writeJSON(p)
			}
			a.printf("%s %s: %s\n", a.paint(effectColour(done), done), visible(p.ID), short(p.Text, 60))
			return nil
		}})
	c.Flags().StringVar(&reason, "reason", "", "why")
	form(c, &output, asTable, asJSON)
	c.ValidArgsFunction = a.completeApprovals
	return c
}

func (a *app) watchApprovals() *cobra.Command {
	var output string
	c := a.remote(&cobra.Command{Use: "watch", Short: "Show approvals as they come and are answered", Args: args(0, 0, ""),
		Long:    "Show what waits, then each approval that is made or changes, until interrupted. With -o json, one object a line.",
		Example: "  gatehouse approvals watch\n  gatehouse approvals watch -o json | while read -r line; do notify-send \"$line\"; done",
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.connect()
			if err != nil {
				return err
			}
			return cl.Watch(c.Context(), func(p access.Approval) error {
				if output == asJSON {
					return a.writeJSONLine(p)
				}
				a.printf("%s  %s  %s  %s on %s: %s\n", clock(a.Clock()), visible(p.ID), a.paint(effectColour(string(p.State)), visible(string(p.State))),
					visible(p.Principal), visible(p.Connection), short(p.Text, 60))
				return nil
			})
		}})
	form(c, &output, asTable, asJSON)
	return c
}

// completeApprovals completes the ID of a pending approval.
func (a *app) completeApprovals(c *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	cl, err := a.connect()
	if len(given) > 0 || err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(c.Context(), completionTimeout)
	defer cancel()
	list, err := cl.Approvals(ctx, string(access.ApprovalPending))
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var words []string
	for _, p := range list {
		words = append(words, p.ID+"\t"+short(p.Text, 40))
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}
