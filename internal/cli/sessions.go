package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/access"
	"gatehouse/internal/api/message"
)

func (a *app) sessions() *cobra.Command {
	return group("sessions", "Look back at what clients did", "Sessions are read from the audit log.", a.listSessions(), a.showSession(), a.replay())
}

func (a *app) listSessions() *cobra.Command {
	var output, connection, principal string
	var since time.Duration
	var limit int
	c := a.remote(&cobra.Command{Use: "list", Short: "List the newest sessions", Args: args(0, 0, ""),
		Example: "  gatehouse sessions list\n  gatehouse sessions list --connection orders-db --since 24h -o json",
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.connect()
			if err != nil {
				return err
			}
			var from time.Time
			if since > 0 {
				from = a.Clock().Add(-since)
			}
			list, err := cl.Sessions(c.Context(), connection, principal, from, limit)
			if err != nil {
				return err
			}
			if output == asJSON {
				return a.writeJSON(list)
			}
			a.printSessions(list)
			return nil
		}})
	f := c.Flags()
	f.StringVar(&connection, "connection", "", "only sessions on this connection")
	f.StringVar(&principal, "principal", "", "only sessions of this principal, as `issuer#subject`")
	f.DurationVar(&since, "since", 0, "only sessions that opened within this time, such as 24h")
	f.IntVar(&limit, "limit", 50, "at most this many, up to 1000")
	form(c, &output, asTable, asJSON)
	a.completeNames(c, "connection", access.KindConnection)
	return c
}

func (a *app) printSessions(list []message.SessionSummary) {
	if len(list) == 0 {
		a.printf("no sessions\n")
		return
	}
	var rows [][]string
	for _, s := range list {
		ran := "open"
		if !s.Closed.IsZero() {
			ran = s.Closed.Sub(s.Opened).Round(time.Millisecond).String()
		}
		rows = append(rows, []string{s.ID, clock(s.Opened), ran, s.Principal, s.Connection, actionsOf(&s), strconv.Itoa(s.Refused),
			strconv.FormatInt(s.Masked, 10)})
	}
	a.table([]string{"ID", "OPENED", "RAN", "PRINCIPAL", "CONNECTION", "ACTIONS", "REFUSED", "MASKED"}, rows)
}

// actionsOf counts actions, and the messages that some of them are many of.
func actionsOf(s *message.SessionSummary) string {
	if s.Messages == 0 {
		return strconv.Itoa(s.Actions)
	}
	return fmt.Sprintf("%d (%s)", s.Actions, plural(s.Messages, "message"))
}

func (a *app) showSession() *cobra.Command {
	var output string
	c := a.remote(&cobra.Command{Use: "show ID", Short: "Show a session's actions in a table", Args: args(1, 1, "a session's ID"),
		Example: "  gatehouse sessions show s-5f2c",
		RunE: func(c *cobra.Command, given []string) error {
			if output == asJSON {
				return a.recordsAsJSON(c.Context(), given[0])
			}
			return a.tableOfActions(c.Context(), given[0])
		}})
	form(c, &output, asTable, asJSON)
	c.ValidArgsFunction = a.completeSessions
	return c
}

// recordsAsJSON prints one record a line, so that a long session needs no memory here and in whoever reads it.
func (a *app) recordsAsJSON(ctx context.Context, id string) error {
	cl, err := a.connect()
	if err != nil {
		return err
	}
	for r, err := range cl.Records(ctx, id) {
		if err != nil {
			return err
		}
		if err := a.writeJSONLine(r); err != nil {
			return err
		}
	}
	return nil
}

// maxText is the width of a statement in a table, in columns.
const maxText = 70

func (a *app) tableOfActions(ctx context.Context, id string) error {
	cl, err := a.connect()
	if err != nil {
		return err
	}
	var rows [][]string
	at := map[uint64]int{} // the row of an action whose outcome is still to come
	for r, err := range cl.Records(ctx, id) {
		if err != nil {
			return err
		}
		number := strconv.FormatUint(r.Action, 10)
		switch r.Kind {
		case access.EventSessionOpened:
			a.pairs("session", r.Session, "principal", r.Principal, "connection", r.Connection, "opened", clock(r.Time), "from", r.Peer)
			a.printf("\n")
		case access.EventActionIntended:
			at[r.Action] = len(rows)
			text := short(r.Text, maxText)
			if own := ownAction(&r); own != "" {
				text = byTheGateway(own)
			}
			if r.Window != nil {
				text += ", " + upTo(r.Window)
			}
			rows = append(rows, []string{number, r.Time.UTC().Format("15:04:05.000"), r.Effect, string(access.StatusUnknown), "", "", text})
		case access.EventActionRefused:
			rows = append(rows, []string{number, r.Time.UTC().Format("15:04:05.000"), r.Effect, "refused", "", "", short(r.Text, maxText)})
		case access.EventActionEnded:
			if i, ok := at[r.Action]; ok {
				rows[i][3], rows[i][4], rows[i][5] = statusOf(&r), strconv.FormatInt(r.Rows, 10), strconv.FormatInt(r.Masked, 10)
				delete(at, r.Action)
			}
		}
	}
	a.table([]string{"#", "TIME", "EFFECT", "STATUS", "ROWS", "MASKED", "TEXT"}, rows)
	return nil
}

func statusOf(r *message.Record) string {
	if r.Code == "" {
		return string(r.Status)
	}
	return fmt.Sprintf("%s %s", r.Status, r.Code)
}

// completeSessions completes the ID of a recent session.
func (a *app) completeSessions(c *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	cl, err := a.connect()
	if len(given) > 0 || err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(c.Context(), completionTimeout)
	defer cancel()
	list, err := cl.Sessions(ctx, "", "", time.Time{}, 20)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var words []string
	for _, s := range list {
		words = append(words, s.ID+"\t"+visible(s.Connection))
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}
