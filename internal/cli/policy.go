package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/internal/access"
	"gatehouse/internal/api/message"
	"gatehouse/internal/cli/client"
)

// maxStatement bounds a statement that is read from standard input, in bytes.
const maxStatement = 1 << 20

// question holds the flags of policy test.
type question struct {
	message.PolicyQuestion
	claims    []string
	tokenFile string
	rows      int64
	expect    string
}

func (a *app) policy() *cobra.Command {
	var q question
	var output string
	test := a.remote(&cobra.Command{Use: "test", Short: "Say what would be decided, and which statement of which policy decides", Args: args(0, 0, ""),
		Long: `Say what would be decided about a statement, for a principal that is described or whose token is at hand, and why:
by which policies, and where the connection's protocol would refuse by itself what policy allows, because of masks or of what stands
together in one message. It is judged as in a fresh session. Nothing is sent to the backend on the statement's behalf. The exit code is 0 whatever the verdict, unless --expect is given.`,
		Example: `  gatehouse policy test --connection orders-db --statement 'delete from payments' --subject refund-fn --claim team=refunds
  gatehouse policy test --connection orders-db --statement - --principal-token-file token.txt --expect deny < query.sql
  gatehouse policy test --connection billing --statement 'DELETE /v1/invoices/42' --subject refund-fn --issuer dev
  gatehouse policy test --connection jobs --statement 'publish orders refund.eu {"amount": 500}' --subject refund-fn --issuer dev`,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("rows") {
				q.EstimatedRows = &q.rows
			}
			if err := a.completeQuestion(&q); err != nil {
				return err
			}
			cl, err := a.connect()
			if err != nil {
				return err
			}
			e, err := cl.Explain(c.Context(), q.PolicyQuestion)
			if err != nil {
				return err
			}
			if output == asJSON {
				err = a.writeJSON(e)
			} else {
				a.printExplanation(e)
			}
			if err == nil && q.expect != "" && q.expect != e.Effect {
				fmt.Fprintf(a.Err, "gatehouse: expected %s, and the verdict is %s\n", q.expect, visible(e.Effect))
				return errFailed{errors.New("not as expected")}
			}
			return err
		}})
	f := test.Flags()
	f.StringVar(&q.Connection, "connection", "", "the connection's `name`")
	f.StringVar(&q.Statement, "statement", "", "what the client would send; - reads it from standard input")
	f.StringVar(&q.Subject, "subject", "", "the principal's `subject`")
	f.StringVar(&q.Issuer, "issuer", "", "the Issuer document's `name` or URL; may be left out where there is only one")
	f.StringArrayVar(&q.claims, "claim", nil, "a claim of the principal as `name=value`; the value may be JSON; may be repeated")
	f.StringVar(&q.tokenFile, "principal-token-file", "", "take the principal from the token in this `file`")
	f.StringArrayVar(&q.Params, "param", nil, "a bind parameter, in order; may be repeated")
	f.Int64Var(&q.rows, "rows", 0, "the estimated `number` of rows, for conditions that read it")
	f.StringVar(&q.expect, "expect", "", "exit 1 unless the verdict is `allow, deny or approve`")
	form(test, &output, asTable, asJSON)
	a.completeNames(test, "connection", access.KindConnection)
	a.completeNames(test, "issuer", access.KindIssuer)
	_ = test.RegisterFlagCompletionFunc("expect", cobra.FixedCompletions(verdicts(), cobra.ShellCompDirectiveNoFileComp))
	return group("policy", "Ask what policies decide, and make them of what was done", "", test, a.exportPolicy(), a.importPolicy())
}

// verdicts are what --expect takes.
func verdicts() []string { return []string{"allow", "deny", "approve"} }

// completeQuestion checks the flags, and reads what they name.
func (a *app) completeQuestion(q *question) error {
	if q.Connection == "" || q.Statement == "" {
		return usagef("--connection and --statement are needed")
	}
	if q.expect != "" && !slices.Contains(verdicts(), q.expect) {
		return usagef("--expect %s is not one of allow, deny, approve", q.expect)
	}
	if q.Statement == "-" {
		b, err := readBounded(a.In, maxStatement, "the statement on standard input")
		if err != nil {
			return err
		}
		q.Statement = string(b)
	}
	var err error
	if q.Claims, err = parseClaims(q.claims); err != nil {
		return err
	}
	if q.tokenFile == "" {
		return nil
	}
	if q.Subject != "" || q.Issuer != "" || len(q.claims) > 0 {
		return usagef("--principal-token-file says who the principal is: leave out --subject, --issuer and --claim")
	}
	t, err := client.ReadToken(q.tokenFile)
	q.Token = string(t.Reveal())
	return err
}

func (a *app) printExplanation(e *message.Explanation) {
	roles := strings.Join(e.Roles, ", ")
	if roles == "" {
		roles = "none"
	}
	a.pairs("principal", e.Principal, "roles", roles, "connection", e.Connection)
	for _, j := range e.Judgements {
		a.printf("\n%s\n", indent(visibleLines(j.Text), "  "))
		a.printf("%s  %s\n", a.paint(effectColour(j.Effect), strings.ToUpper(visible(j.Effect))), because(j.Because))
		if j.Message != "" {
			a.printf("  message: %s\n", visible(j.Message))
		}
		if j.Effect == "approve" {
			a.printf("  reviewers: %s\n", reviewers(j.Reviewers))
		}
		if j.Record != "" {
			a.printf("  recorded: %s\n", visible(j.Record))
		}
		for _, x := range j.Actions {
			a.printf("  %s on %s: %s, %s\n", visible(x.Action.Name), visible(x.Action.Resource), a.paint(effectColour(x.Effect), visible(x.Effect)), visible(x.Why))
			for _, s := range x.Considered {
				mark := a.paint(dim, "·")
				if s.Applies {
					mark = a.paint(effectColour(s.Effect), "✓")
				}
				a.printf("    %s %-7s %s: %s\n", mark, visible(s.Effect), because(s.Because), visible(s.Why))
			}
		}
		for _, m := range append(j.Masks, j.Detect...) {
			a.printf("  %s %s: %s, %s\n", a.paint(dim, "mask"), maskedPart(m), visible(m.With), because(m.Because))
		}
	}
	for _, n := range e.Notes {
		a.printf("note: %s\n", visible(n))
	}
}

// maskedPart says what a mask hides.
func maskedPart(m message.ExplainedMask) string {
	what := visible(m.Field + m.Entity + m.Path)
	if m.Document == "" {
		return what
	}
	switch {
	case m.Header != "":
		what = "header " + visible(m.Header)
	case what == "":
		what = "all"
	}
	return what + " in each " + visible(m.In) + " of " + visible(m.Document)
}

// because names the policy statement that decided.
func because(b access.Because) string {
	if b.Statement == 0 {
		return "no statement allows it"
	}
	s := fmt.Sprintf("policy %s, statement %d", visible(b.Policy), b.Statement)
	if b.Guardrail {
		s += " (guardrail)"
	}
	return s
}

// reviewers says in words who may answer.
func reviewers(lists [][]string) string {
	if len(lists) == 0 {
		return "the operator"
	}
	parts := make([]string, len(lists))
	for i, l := range lists {
		parts[i] = strings.Join(l, " or ")
	}
	return visible(strings.Join(parts, ", and "))
}

func indent(s, by string) string {
	return by + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n"+by)
}
