package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/access"
	"gatehouse/internal/api/message"
)

// maxCell is the width of a replayed cell, in columns.
const maxCell = 60

func (a *app) replay() *cobra.Command {
	var output string
	c := a.remote(&cobra.Command{Use: "replay ID", Short: "Show a session as its client saw it", Args: args(1, 1, "a session's ID"),
		Long: `Show a session from login to close: each statement, what was decided and why, what came back as the client received it
(masked), and how it ended. Nothing runs again: it is read from the audit log.`,
		Example: "  gatehouse sessions replay s-5f2c\n  gatehouse sessions replay s-5f2c -o json | jq 'select(.masked > 0)'",
		RunE: func(c *cobra.Command, given []string) error {
			if output == asJSON {
				return a.recordsAsJSON(c.Context(), given[0])
			}
			return a.replaySession(c.Context(), given[0])
		}})
	form(c, &output, asTable, asJSON)
	c.ValidArgsFunction = a.completeSessions
	return c
}

func (a *app) replaySession(ctx context.Context, id string) error {
	cl, err := a.connect()
	if err != nil {
		return err
	}
	open := map[uint64]string{} // actions whose outcome is still to come; what of them is the gateway's own
	windows := map[uint64]bool{}
	for r, err := range cl.Records(ctx, id) {
		if err != nil {
			return err
		}
		switch r.Kind {
		case access.EventActionIntended:
			open[r.Action] = ownAction(&r)
			windows[r.Action] = r.Window != nil
			if open[r.Action] == "" {
				a.replayRecord(&r)
			}
		case access.EventActionEnded:
			switch own := open[r.Action]; {
			case own != "":
				a.replayOwn(&r, own)
			case windows[r.Action]:
				a.say(&r, "%s", a.windowOutcome(&r))
			default:
				a.replayRecord(&r)
			}
			delete(open, r.Action)
			delete(windows, r.Action)
		default:
			a.replayRecord(&r)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(open)) {
		a.printf("%s  #%d: the log has no outcome; whether it ran is not known\n", a.paint(red, "unknown"), n)
	}
	return nil
}

// ownAction is the name of an action that the gateway itself intends; "" where it is the client's.
func ownAction(r *message.Record) string {
	if r.Principal != access.GatewayPrincipal().ID() || len(r.Actions) == 0 {
		return ""
	}
	return r.Actions[0].Name
}

// replayOwn shows an action of the gateway's own in one line, by its outcome; its text is in -o json.
func (a *app) replayOwn(ended *message.Record, name string) {
	a.say(ended, "%s %s", a.paint(dim, byTheGateway(name)+":"), a.outcome(ended))
}

func byTheGateway(name string) string { return "the gateway itself, " + visible(name) }

// say prints a line about a record.
func (a *app) say(r *message.Record, format string, args ...any) {
	number := ""
	if r.Action > 0 {
		number = fmt.Sprintf("#%d ", r.Action)
	}
	a.printf("%s  %s%s\n", a.paint(dim, r.Time.UTC().Format("15:04:05.000")), number, fmt.Sprintf(format, args...))
}

func (a *app) replayRecord(r *message.Record) {
	say := func(format string, args ...any) { a.say(r, format, args...) }
	switch r.Kind {
	case access.EventSessionOpened:
		say("%s opened by %s as %s on %s, from %s", a.paint(bold, visible(r.Session)), visible(r.Principal), visible(strings.Join(r.Roles, ", ")),
			visible(r.Connection), visible(r.Peer))
	case access.EventActionIntended:
		say("%s  %s", a.effect(r.Effect), reason(r))
		a.statement(r)
	case access.EventActionRefused:
		say("%s  %s", a.effect(r.Effect), reason(r))
		a.statement(r)
		a.printf("    %s %s\n", a.paint(red, "refused:"), visible(r.Reason))
	case access.EventActionEnded:
		a.result(r.Result)
		say("%s", a.outcome(r))
	case access.EventApprovalRequested:
		say("%s for %s", a.paint(yellow, "waits"), visible(r.Approval))
		a.statement(r)
	case access.EventApprovalAnswered:
		state := r.Detail["state"]
		say("%s by %s: %s", a.paint(effectColour(state), visible(state)), visible(r.Principal), visible(r.Reason))
	case access.EventApprovalEnded:
		say("approval %s: %s", visible(r.Approval), visible(strings.TrimSpace(string(r.Status)+" "+r.Reason)))
	case access.EventSessionClosed:
		say("%s", strings.TrimSuffix("closed: "+visible(r.Reason), ": "))
	default:
		say("%s %s", visible(string(r.Kind)), visible(r.Reason))
	}
}

func (a *app) effect(e string) string { return a.paint(effectColour(e), visible(e)) }

func reason(r *message.Record) string {
	s := ""
	switch {
	case r.Because != nil:
		s = because(*r.Because)
	case r.Effect == access.Allow.String():
		s = "implied by reaching the connection"
	}
	if r.Phase == access.PhasePrepare {
		s += " (prepared only)"
	}
	if r.Approval != "" {
		s = strings.TrimSpace(s + " approval " + visible(r.Approval))
	}
	if r.Window != nil {
		s += "; " + upTo(r.Window)
	}
	return s
}

// upTo says what a window covers.
func upTo(w *message.Window) string {
	return fmt.Sprintf("up to %s within %s", plural(int64(w.Messages), "message"), time.Duration(w.WithinMillis)*time.Millisecond)
}

// windowOutcome says what a window let through: how many messages, how large together, and the root that proves them.
func (a *app) windowOutcome(r *message.Record) string {
	parts := []string{a.paint(effectColour(string(r.Status)), visible(statusOf(r))), plural(r.Rows, "message"), bytesOf(r.Bytes)}
	if r.Masked > 0 {
		parts = append(parts, plural(r.Masked, "value")+" masked")
	}
	if r.Digest != "" {
		parts = append(parts, "root "+visible(r.Digest))
	}
	return strings.Join(parts, ", ")
}

// bytesOf is a size for people, in powers of ten.
func bytesOf(n int64) string {
	units, v := []string{"kB", "MB", "GB", "TB"}, float64(n)/1000
	if n < 1000 {
		return plural(n, "byte")
	}
	for len(units) > 1 && v >= 999.5 {
		v, units = v/1000, units[1:]
	}
	return fmt.Sprintf("%.3g %s", v, units[0])
}

func (a *app) statement(r *message.Record) {
	a.printf("%s\n", indent(visibleLines(strings.TrimRight(r.Text, " \n")), "    "))
	a.parameters(r.Params, "    ")
}

// parameters prints bind parameters as they are recorded, a line each.
func (a *app) parameters(params []string, margin string) {
	for i, p := range params {
		a.printf("%s%s %s\n", margin, a.paint(dim, fmt.Sprintf("parameter %d:", i+1)), short(p, maxCell))
	}
}

func (a *app) outcome(r *message.Record) string {
	parts := []string{a.paint(effectColour(string(r.Status)), visible(statusOf(r)))}
	if r.Rows > 0 {
		parts = append(parts, plural(r.Rows, "row"))
	}
	if r.Masked > 0 {
		parts = append(parts, plural(r.Masked, "cell")+" masked")
	}
	if r.BackendUS > 0 {
		parts = append(parts, fmt.Sprintf("%.1f ms at the backend", float64(r.BackendUS)/1000))
	}
	if r.Reason != "" {
		parts = append(parts, visible(r.Reason))
	}
	return strings.Join(parts, ", ")
}

// result prints what the client received, as a table.
func (a *app) result(res *access.Result) {
	if res == nil || len(res.Columns) == 0 {
		return
	}
	grid := [][]string{make([]string, len(res.Columns))}
	for j, c := range res.Columns {
		grid[0][j] = short(c, maxCell)
	}
	for _, row := range res.Rows {
		cells := make([]string, len(res.Columns))
		for j := range cells {
			switch {
			case j >= len(row):
			case row[j] == nil:
				cells[j] = "NULL"
			default:
				cells[j] = short(*row[j], maxCell)
			}
		}
		grid = append(grid, cells)
	}
	widths := make([]int, len(res.Columns))
	for _, row := range grid {
		for j, c := range row {
			widths[j] = max(widths[j], width(c))
		}
	}
	for i, row := range grid {
		for j, c := range row {
			row[j] = c + strings.Repeat(" ", widths[j]-width(c))
		}
		a.printf("    %s\n", strings.TrimRight(strings.Join(row, " │ "), " "))
		if i == 0 {
			for j := range row {
				row[j] = strings.Repeat("─", widths[j])
			}
			a.printf("    %s\n", strings.Join(row, "─┼─"))
		}
	}
	if res.Truncated {
		a.printf("    %s\n", a.paint(dim, "… the rest was not recorded"))
	}
}
