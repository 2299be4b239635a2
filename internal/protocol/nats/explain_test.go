package nats

import (
	"testing"

	"gatehouse/internal/access"
)

// TestWritten reads operations from text, as `policy test` is given them and as the log has them.
func TestWritten(t *testing.T) {
	for text, want := range map[string]written{
		"PUB orders.new":                             {verb: "PUB", subject: "orders.new"},
		`publish orders.new {"amount": 3}`:           {verb: "PUB", subject: "orders.new", payload: `{"amount": 3}`},
		"PUB orders.new\nKind: card\n\n{\"a\": 1}":   {verb: "PUB", subject: "orders.new", payload: `{"a": 1}`, h: &headers{list: []header{{"Kind", "card"}}}},
		"SUB orders.> workers":                       {verb: "SUB", subject: "orders.>", payload: "workers"},
		"subscribe orders.*":                         {verb: "SUB", subject: "orders.*"},
		"MSG orders.new x":                           {verb: "MSG", subject: "orders.new", payload: "x"},
		`$JS.API.STREAM.PURGE.ORDERS {"filter":"a"}`: {verb: "PUB", subject: "$JS.API.STREAM.PURGE.ORDERS", payload: `{"filter":"a"}`},
	} {
		w, err := readWritten(text)
		if err != nil || w.verb != want.verb || w.subject != want.subject || w.payload != want.payload || (w.h == nil) != (want.h == nil) {
			t.Errorf("%q: %+v, %v", text, w, err)
		}
	}
	for _, text := range []string{"", "PUB", "PUB a..b", "PUB orders.*", "GET a", "$KV.b.k x", "PUB a\nodd header\n\nx"} {
		if w, err := readWritten(text); err == nil {
			t.Errorf("%q is read as %+v", text, w)
		}
	}
}

// TestFolds: what carries a name that was made up stands together, and nothing stands for all subjects or all streams.
func TestFolds(t *testing.T) {
	fold := folds(&access.Connection{})
	for resource, want := range map[string]string{
		"jobs/subject/_INBOX.abc.1": "jobs/subject/_INBOX.*", "jobs/subject/orders.new": "", "jobs/stream/S": "", "jobs/x/subject/_INBOX.a": "",
	} {
		if got, _ := fold(resource); got != want {
			t.Errorf("%s folds to %q", resource, got)
		}
	}
	for resource, want := range map[string]string{
		"jobs/subject/orders.eu.new": "jobs/subject/orders.eu.", "jobs/subject/orders.eu.": "jobs/subject/orders.", "jobs/subject/orders": "",
		"jobs/stream/S/consumer/c": "jobs/stream/S/consumer/", "jobs/stream/S": "", "jobs": "",
	} {
		if got, _ := parent(resource); got != want {
			t.Errorf("%s lies below %q", resource, got)
		}
	}
}
