package access_test

import (
	"encoding/json"
	"testing"

	"gatehouse/internal/access"
)

// TestSegmentsNeverRunIntoEachOther: what has a meaning in a resource is encoded in the segments of one, dots apart.
func TestSegmentsNeverRunIntoEachOther(t *testing.T) {
	for want, segments := range map[string][]string{
		"jobs":                           nil,
		"jobs/exchange/orders/eu.card":   {"exchange", "orders", "eu.card"},
		"jobs/exchange/orders":           {"exchange", "orders"},
		"jobs/exchange/orders/":          {"exchange", "orders", ""},
		"jobs/queue/a%2Fb":               {"queue", "a/b"},
		"jobs/queue/%2A":                 {"queue", "*"},
		"jobs/queue/%252A":               {"queue", "%2A"},
		"jobs/queue/a%00b%0D%0A":         {"queue", "a\x00b\r\n"},
		"jobs/subject/orders.%2A.eu.%2A": {"subject", "orders.*.eu.*"},
	} {
		if got := access.SegmentResource("jobs", segments...); got != want {
			t.Errorf("%q: %s, want %s", segments, got, want)
		}
	}
	if got := access.SegmentResource("a/b.c", "queue", "q"); got != "a%2Fb%2Ec/queue/q" {
		t.Error(got)
	}
}

// TestWildSegment: words that are wildcards are one, whatever else looks like one is a name.
func TestWildSegment(t *testing.T) {
	for _, c := range []struct {
		text, one, rest string
		none            bool
		want            string
	}{
		{"orders.*.>", "*", ">", false, "orders.*.**"},
		{">", "*", ">", false, "**"},
		{"*", "*", ">", false, "*"},
		{"a*.b/c", "*", ">", false, "a%2A.b%2Fc"},
		{"a.%2A", "*", ">", false, "a.%252A"},
		{"a..b.", "*", ">", false, "a..b."},
		{"eu.#", "*", "#", true, "eu**"},
		{"#.eu", "*", "#", true, "**eu"},
		{"a.#.b", "*", "#", true, "a**b"},
		{"a.#.#.b", "*", "#", true, "a****b"},
		{"#", "*", "#", true, "**"},
		{"*.#", "*", "#", true, "***"},
		{"", "*", "#", true, ""},
		{"a#.*#", "*", "#", true, "a#.%2A#"},
	} {
		if got := access.WildSegment(c.text, c.one, c.rest, c.none); got != c.want {
			t.Errorf("%s: %s, want %s", c.text, got, c.want)
		}
	}
}

// TestRecordWithIsAWordOrAnObject: a document reads back as it was written, and nothing is told from zero.
func TestRecordWithIsAWordOrAnObject(t *testing.T) {
	for _, text := range []string{`"each"`, `{"above":0}`, `{"above":50,"messages":10,"within":"500ms"}`, `{}`} {
		var w access.RecordWith
		if err := json.Unmarshal([]byte(text), &w); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(w)
		if err != nil || string(b) != text {
			t.Errorf("%s: %s, %v", text, b, err)
		}
	}
	for _, text := range []string{`{"messges":10}`, `{"above":"1"}`, `7`, `[]`} {
		if err := json.Unmarshal([]byte(text), new(access.RecordWith)); err == nil {
			t.Errorf("%s is a recording", text)
		}
	}
	if (access.Recording{}).Settled() != access.DefaultRecording() || (access.Recording{Each: true}).Settled() != (access.Recording{Each: true}) {
		t.Error("the zero value alone means the defaults")
	}
}
