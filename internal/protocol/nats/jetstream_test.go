package nats

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/access"
)

// jetstream is a session that knows its own inbox, and one message that it was delivered.
func jetstream() knowledge {
	return knowledge{
		connection: "jobs", domain: "here", catalogue: &catalogue{},
		own:   func(subject string) bool { return strings.HasPrefix(subject, "_INBOX.mine.") },
		given: func(subject string) bool { return subject == ackMine },
	}
}

const (
	inboxMine = "_INBOX.mine.1"
	ackMine   = "$JS.ACK.ORDERS.work.1.2.3.4.5"
	ackOther  = "$JS.ACK.ORDERS.work.1.9.9.4.5"
)

// wrote writes actions as a test compares them: without the connection, with + in front of a set.
func wrote(actions []access.Action) string {
	var out []string
	for _, a := range actions {
		resource := strings.TrimPrefix(a.Resource, "jobs/")
		if a.Wild {
			resource = "+" + resource
		}
		out = append(out, strings.TrimPrefix(a.Name, "nats:")+" "+resource)
	}
	return strings.Join(out, "; ")
}

// understandCases are calls, what they need, and what deny and approve bind besides.
var understandCases = []struct {
	name, subject, payload string
	actions, related       string
}{
	{"account", "$JS.API.INFO", "", "AccountInfo jobs", ""},
	{"list", "$JS.API.STREAM.NAMES", `{"offset":0,"subject":"orders.>"}`, "ListStreams stream", ""},
	{"list of everything", "$JS.API.STREAM.LIST", `{}`, "ListStreams stream", ""},
	{"info", "$JS.API.STREAM.INFO.ORDERS", "", "StreamInfo stream/ORDERS", ""},
	{"subjects of a stream", "$JS.API.STREAM.INFO.ORDERS", `{"subjects_filter":"orders.*"}`, "StreamInfo stream/ORDERS", "Subscribe +subject/orders.*"},
	{"info in the server's own domain", "$JS.here.API.STREAM.INFO.ORDERS", "", "StreamInfo stream/ORDERS", ""},
	{"info in another domain", "$JS.hub.API.STREAM.INFO.ORDERS", "", "StreamInfo domain/hub/stream/ORDERS", "StreamInfo stream/ORDERS"},
	{"delete", "$JS.API.STREAM.DELETE.ORDERS", "", "DeleteStream stream/ORDERS", ""},
	{"delete, with an empty object", "$JS.API.STREAM.DELETE.ORDERS", " {} ", "DeleteStream stream/ORDERS", ""},
	{"purge", "$JS.API.STREAM.PURGE.ORDERS", `{"filter":"orders.eu"}`, "PurgeStream stream/ORDERS", ""},
	{"create", "$JS.API.STREAM.CREATE.ORDERS", `{"name":"ORDERS","subjects":["orders.>","refunds"],"retention":"limits","max_msgs":-1}`,
		"CreateStream stream/ORDERS; Subscribe +subject/orders.**; Subscribe subject/refunds", ""},
	{"create without subjects", "$JS.API.STREAM.CREATE.ORDERS", `{"name":"ORDERS"}`, "CreateStream stream/ORDERS; Subscribe subject/ORDERS", ""},
	{"create a mirror", "$JS.API.STREAM.CREATE.M", `{"name":"M","mirror":{"name":"ORDERS","filter_subject":"orders.eu"}}`,
		"CreateStream stream/M; Consume stream/ORDERS", "Subscribe subject/orders.eu; Deliver subject/orders.eu"},
	{"create of sources", "$JS.API.STREAM.CREATE.M", `{"name":"M","sources":[{"name":"A"},{"name":"KV_b"}]}`,
		"CreateStream stream/M; Consume stream/A; Consume stream/KV_b", "Subscribe +subject/**; Deliver +subject/**"},
	{"create of a source of elsewhere", "$JS.API.STREAM.CREATE.M", `{"name":"M","sources":[{"name":"A","filter_subject":"a","external":{"api":"$JS.hub.API","deliver":""}}]}`,
		"CreateStream stream/M; Consume stream/A; Opaque subject/$JS.API.STREAM.CREATE.M", "Subscribe subject/a; Deliver subject/a"},
	{"create of a source that is renamed", "$JS.API.STREAM.CREATE.M", `{"name":"M","sources":[{"name":"A","subject_transforms":[{"src":"a.*","dest":"b.{{wildcard(1)}}"}]}]}`,
		"CreateStream stream/M; Publish +subject/b.*; Consume stream/A", "Subscribe +subject/a.*; Deliver +subject/a.*"},
	{"create that publishes again", "$JS.API.STREAM.CREATE.M", `{"name":"M","subjects":["a"],"republish":{"src":"a","dest":"b.>","headers_only":true}}`,
		"CreateStream stream/M; Subscribe subject/a; Publish +subject/b.**", ""},
	{"create that renames", "$JS.API.STREAM.CREATE.M", `{"name":"M","subjects":["a.*"],"subject_transform":{"src":"a.*","dest":"secret.$1"}}`,
		"CreateStream stream/M; Subscribe +subject/a.*; Publish +subject/secret.*", ""},
	{"create with a key of tomorrow", "$JS.API.STREAM.CREATE.M", `{"name":"M","subjects":["a"],"teleport":true}`,
		"CreateStream stream/M; Subscribe subject/a; Opaque subject/$JS.API.STREAM.CREATE.M", ""},
	{"create that captures inboxes", "$JS.API.STREAM.CREATE.M", `{"name":"M","subjects":["_INBOX.>"]}`,
		"CreateStream stream/M; Subscribe +subject/_INBOX.**; Opaque +subject/_INBOX.**", ""},
	{"create that captures everything", "$JS.API.STREAM.CREATE.M", `{"name":"M","subjects":["*.x"],"no_ack":true}`,
		"CreateStream stream/M; Subscribe +subject/*.x; Opaque +subject/*.x", ""},
	{"create that publishes requests", "$JS.API.STREAM.CREATE.M", `{"name":"M","subjects":["a"],"republish":{"dest":"$JS.API.STREAM.PURGE.S"}}`,
		"CreateStream stream/M; Subscribe subject/a; Publish subject/$JS.API.STREAM.PURGE.S; Opaque subject/$JS.API.STREAM.PURGE.S", ""},
	{"update to fewer messages", "$JS.API.STREAM.UPDATE.M", `{"name":"M","subjects":["a"],"max_msgs":1}`,
		"UpdateStream stream/M; Subscribe subject/a", "PurgeStream stream/M"},
	{"get by number", "$JS.API.STREAM.MSG.GET.ORDERS", `{"seq":7}`, "GetMessage stream/ORDERS", "Subscribe +subject/**"},
	{"get the last of a subject", "$JS.API.STREAM.MSG.GET.ORDERS", `{"last_by_subj":"orders.eu"}`, "GetMessage stream/ORDERS", "Subscribe subject/orders.eu"},
	{"get the next of a set", "$JS.API.STREAM.MSG.GET.ORDERS", `{"seq":1,"next_by_subj":"orders.*"}`, "GetMessage stream/ORDERS", "Subscribe +subject/orders.*"},
	{"delete a message", "$JS.API.STREAM.MSG.DELETE.ORDERS", `{"seq":7,"no_erase":true}`, "DeleteMessage stream/ORDERS", ""},
	{"direct get", "$JS.API.DIRECT.GET.KV_b", `{"seq":7}`, "GetMessage stream/KV_b", "Subscribe +subject/$KV.b.**"},
	{"direct get of a key", "$JS.API.DIRECT.GET.KV_b.$KV.b.k", "", "GetMessage stream/KV_b", "Subscribe subject/$KV.b.k"},
	{"direct get of several", "$JS.API.DIRECT.GET.S", `{"multi_last":["a.*","b"],"batch":5}`, "GetMessage stream/S", "Subscribe +subject/a.*; Subscribe subject/b"},
	{"backup", "$JS.API.STREAM.SNAPSHOT.S", `{"deliver_subject":"` + inboxMine + `","no_consumers":true,"chunk_size":1000}`, "SnapshotStream stream/S", "Subscribe +subject/**; Deliver +subject/**"},
	{"backup to elsewhere", "$JS.API.STREAM.SNAPSHOT.S", `{"deliver_subject":"x.y"}`, "Publish subject/x.y; SnapshotStream stream/S", "Subscribe +subject/**; Deliver +subject/**"},
	{"restore", "$JS.API.STREAM.RESTORE.S", `{"config":{"name":"S","subjects":["a"]},"state":{"messages":1}}`,
		"RestoreStream stream/S; Subscribe subject/a", "Publish subject/a"},
	{"a part of a backup", "$JS.SNAPSHOT.RESTORE.S.xyz", "\x00\x01", "RestoreStream stream/S", ""},
	{"step down", "$JS.API.STREAM.LEADER.STEPDOWN.S", "", "ManageCluster stream/S", ""},
	{"remove a server", "$JS.API.SERVER.REMOVE", `{"peer":"n2"}`, "ManageCluster jobs", ""},
	{"ephemeral consumer", "$JS.API.CONSUMER.CREATE.S", `{"stream_name":"S","config":{"deliver_policy":"all","ack_policy":"none","deliver_subject":"` + inboxMine + `"}}`,
		"CreateConsumer +stream/S/consumer/*; Consume +stream/S/consumer/*", "Subscribe +subject/**; Deliver +subject/**"},
	{"named consumer", "$JS.API.CONSUMER.CREATE.S.c", `{"stream_name":"S","config":{"name":"c","filter_subjects":["a","b.>"]},"action":"create"}`,
		"CreateConsumer stream/S/consumer/c", "Subscribe subject/a; Deliver subject/a; Subscribe +subject/b.**; Deliver +subject/b.**"},
	{"filtered consumer", "$JS.API.CONSUMER.CREATE.S.c.a.*", `{"stream_name":"S","config":{"name":"c","durable_name":"c","filter_subject":"a.*"},"action":""}`,
		"CreateConsumer stream/S/consumer/c", "Subscribe +subject/a.*; Deliver +subject/a.*"},
	{"durable consumer that delivers elsewhere", "$JS.API.CONSUMER.DURABLE.CREATE.S.c", `{"stream_name":"S","config":{"durable_name":"c","filter_subject":"a","deliver_subject":"x.y","deliver_group":"g"}}`,
		"CreateConsumer stream/S/consumer/c; Publish subject/x.y; Consume stream/S/consumer/c", "Subscribe subject/a; Deliver subject/a"},
	{"consumer that delivers to somebody's inbox", "$JS.API.CONSUMER.CREATE.S.c", `{"stream_name":"S","config":{"name":"c","filter_subject":"a","deliver_subject":"_INBOX.theirs.1"}}`,
		"CreateConsumer stream/S/consumer/c; Publish subject/_INBOX.theirs.1; Opaque subject/_INBOX.theirs.1; Consume stream/S/consumer/c", "Subscribe subject/a; Deliver subject/a"},
	{"consumer that only servers make", "$JS.API.CONSUMER.CREATE.S.c", `{"stream_name":"S","config":{"name":"c","filter_subject":"a","direct":true}}`,
		"CreateConsumer stream/S/consumer/c; Opaque subject/$JS.API.CONSUMER.CREATE.S.c", "Subscribe subject/a; Deliver subject/a"},
	{"info of a consumer", "$JS.API.CONSUMER.INFO.S.c", "", "ConsumerInfo stream/S/consumer/c", ""},
	{"delete a consumer", "$JS.API.CONSUMER.DELETE.S.c", "", "DeleteConsumer stream/S/consumer/c", ""},
	{"pause", "$JS.API.CONSUMER.PAUSE.S.c", `{"pause_until":"2030-01-01T00:00:00Z"}`, "PauseConsumer stream/S/consumer/c", ""},
	{"consumers", "$JS.API.CONSUMER.NAMES.S", `{"offset":0}`, "ListConsumers stream/S", ""},
	{"next", "$JS.API.CONSUMER.MSG.NEXT.S.c", `{"batch":10,"expires":1000,"no_wait":true}`, "Consume stream/S/consumer/c", "Subscribe +subject/**; Deliver +subject/**"},
	{"next five", "$JS.API.CONSUMER.MSG.NEXT.S.c", "5", "Consume stream/S/consumer/c", "Subscribe +subject/**; Deliver +subject/**"},
	{"acknowledge", ackMine, "+ACK", "Ack stream/ORDERS/consumer/work", ""},
	{"acknowledge nothing said", ackMine, "", "Ack stream/ORDERS/consumer/work", ""},
	{"refuse with a delay", ackMine, `-NAK {"delay":1000}`, "Ack stream/ORDERS/consumer/work", ""},
	{"acknowledge what another was given", ackOther, "+ACK", "Consume stream/ORDERS/consumer/work", ""},
	{"acknowledge in the long form", "$JS.ACK.here.hash.ORDERS.work.1.2.3.4.5", "+ACK", "Consume stream/ORDERS/consumer/work", ""},
	{"acknowledge without a domain", "$JS.ACK._.hash.ORDERS.work.1.2.3.4.5.random", "", "Consume stream/ORDERS/consumer/work", ""},
	{"acknowledge in another domain", "$JS.ACK.hub.hash.ORDERS.work.1.2.3.4.5", "+ACK", "Consume domain/hub/stream/ORDERS/consumer/work", "Consume stream/ORDERS/consumer/work"},
	{"acknowledge and take the next", ackMine, `+NXT {"batch":1}`, "Consume stream/ORDERS/consumer/work", "Subscribe +subject/**; Deliver +subject/**"},
	{"acknowledge with a word of tomorrow", ackMine, "+HUG", "Ack stream/ORDERS/consumer/work; Opaque subject/" + ackMine, ""},
	{"flow control", "$JS.FC.ORDERS.work.xyz", "", "Consume stream/ORDERS/consumer/work", ""},
	{"request of tomorrow", "$JS.API.STREAM.TELEPORT.S", "", "Opaque subject/$JS.API.STREAM.TELEPORT.S", ""},
	{"request with a word too many", "$JS.API.STREAM.DELETE.S.x", "", "Opaque subject/$JS.API.STREAM.DELETE.S.x", ""},
	{"template", "$JS.API.STREAM.TEMPLATE.CREATE.T", "{}", "Opaque subject/$JS.API.STREAM.TEMPLATE.CREATE.T", ""},
	{"an event that is forged", "$JS.EVENT.ADVISORY.API", "{}", "Opaque subject/$JS.EVENT.ADVISORY.API", ""},
	{"a request in another case", "$JS.API.stream.delete.S", "", "Opaque subject/$JS.API.stream.delete.S", ""},
	{"half a request", "$JS.API", "", "Opaque subject/$JS.API", ""},
}

func TestCallsUnderstood(t *testing.T) {
	known := map[string]bool{}
	for _, v := range verbs() {
		known[v.Name] = true
	}
	for _, c := range understandCases {
		j, err := jetstream().understand(c.subject, inboxMine, []byte(c.payload))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := wrote(j.Actions); got != c.actions {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.actions)
		}
		if got := wrote(j.Related); got != c.related {
			t.Errorf("%s, related:\n got %s\nwant %s", c.name, got, c.related)
		}
		for _, a := range slices.Concat(j.Actions, j.Related) {
			if !known[a.Name] {
				t.Errorf("%s: %s is not on the list", c.name, a.Name)
			}
		}
		if !strings.HasPrefix(j.Text, c.subject) || j.Fingerprint == "" || strings.Contains(j.Normal, "2030") {
			t.Errorf("%s: text %q, normal %q", c.name, j.Text, j.Normal)
		}
	}
}

// TestWhereAnswersGo: the server sends its answers wherever a request says, with permissions of its own.
func TestWhereAnswersGo(t *testing.T) {
	j, err := jetstream().understand("$JS.API.STREAM.MSG.GET.S", "payments.approve", []byte(`{"last_by_subj":"a"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := wrote(j.Actions), "GetMessage stream/S; Publish subject/payments.approve"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := j.refuses(masksOn("jobs/subject/a")); err == nil {
		t.Error("a masked message may leave for where no mask is")
	}
	if err := j.refuses(masksOn("jobs/subject/b")); err != nil {
		t.Error(err)
	}
}

// masksOn hides the messages of one resource, and of every set.
type masksOn string

func (masksOn) Field(string) (access.Mask, bool) { return access.Mask{}, false }
func (masksOn) Fields() bool                     { return false }
func (masksOn) Detect() []access.Detection       { return nil }
func (m masksOn) Document(resource string, _ access.Way) access.DocumentMasks {
	if resource == string(m) || strings.Contains(resource, "*") {
		return access.DocumentMasks{Paths: []access.PathMask{{Path: "$.ssn"}}}
	}
	return access.DocumentMasks{}
}

// TestCopiesOfMaskedMessages: what takes messages to where they have other names is refused where masks bind them.
func TestCopiesOfMaskedMessages(t *testing.T) {
	for name, c := range map[string][2]string{
		"mirror":         {"$JS.API.STREAM.CREATE.M", `{"name":"M","mirror":{"name":"S","filter_subject":"a"}}`},
		"source":         {"$JS.API.STREAM.CREATE.M", `{"name":"M","sources":[{"name":"S","filter_subject":"a"}]}`},
		"republish":      {"$JS.API.STREAM.CREATE.M", `{"name":"M","subjects":["a"],"republish":{"src":"a","dest":"b"}}`},
		"transform":      {"$JS.API.STREAM.CREATE.M", `{"name":"M","subjects":["a"],"subject_transform":{"src":"a","dest":"b"}}`},
		"update":         {"$JS.API.STREAM.UPDATE.M", `{"name":"M","subjects":["a"],"republish":{"dest":"b"}}`},
		"push":           {"$JS.API.CONSUMER.CREATE.S.c", `{"stream_name":"S","config":{"name":"c","filter_subject":"a","deliver_subject":"b"}}`},
		"backup":         {"$JS.API.STREAM.SNAPSHOT.S", `{"deliver_subject":"` + inboxMine + `"}`},
		"another domain": {"$JS.hub.API.STREAM.CREATE.M", `{"name":"M","mirror":{"name":"S","filter_subject":"a"}}`},
	} {
		j, err := jetstream().understand(c[0], inboxMine, []byte(c[1]))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if j.refuses(masksOn("jobs/subject/a")) == nil {
			t.Errorf("%s of a masked subject is not refused", name)
		}
		if name != "republish" && name != "transform" && name != "update" && j.refuses(masksOn("jobs/stream/S")) == nil {
			t.Errorf("%s of a masked stream is not refused", name)
		}
		if err := j.refuses(nil); err != nil {
			t.Errorf("%s without masks: %v", name, err)
		}
	}
}

// TestCallsThatCannotBeRead: a subject and a payload that disagree, and whatever two readers could take for different things.
func TestCallsThatCannotBeRead(t *testing.T) {
	for name, c := range map[string][2]string{
		"another stream":               {"$JS.API.STREAM.CREATE.A", `{"name":"B","subjects":["a"]}`},
		"no stream":                    {"$JS.API.STREAM.CREATE.A", ``},
		"a key twice":                  {"$JS.API.STREAM.CREATE.A", `{"name":"A","subjects":["a"],"subjects":["b"]}`},
		"a key in another case":        {"$JS.API.STREAM.CREATE.A", `{"name":"A","subjects":["a"],"Subjects":["b"]}`},
		"a list":                       {"$JS.API.STREAM.CREATE.A", `[]`},
		"null":                         {"$JS.API.STREAM.CREATE.A", `null`},
		"text for a list":              {"$JS.API.STREAM.CREATE.A", `{"name":"A","subjects":"a"}`},
		"an odd subject":               {"$JS.API.STREAM.CREATE.A", `{"name":"A","subjects":["a..b"]}`},
		"an odd name":                  {"$JS.API.STREAM.DELETE.*", ``},
		"another stream of a source":   {"$JS.API.STREAM.CREATE.A", `{"name":"A","mirror":{"name":"x.y"}}`},
		"no destination":               {"$JS.API.STREAM.CREATE.A", `{"name":"A","subjects":["a"],"republish":{"src":"a"}}`},
		"another stream of a consumer": {"$JS.API.CONSUMER.CREATE.A.c", `{"stream_name":"B","config":{"name":"c"}}`},
		"another consumer":             {"$JS.API.CONSUMER.CREATE.A.c", `{"stream_name":"A","config":{"name":"d"}}`},
		"another durable":              {"$JS.API.CONSUMER.DURABLE.CREATE.A.c", `{"stream_name":"A","config":{"durable_name":"d"}}`},
		"another filter":               {"$JS.API.CONSUMER.CREATE.A.c.x", `{"stream_name":"A","config":{"name":"c","filter_subject":"y"}}`},
		"a filter too many":            {"$JS.API.CONSUMER.CREATE.A.c.x", `{"stream_name":"A","config":{"name":"c","filter_subject":"x","filter_subjects":["y"]}}`},
		"no filter":                    {"$JS.API.CONSUMER.CREATE.A.c.x", `{"stream_name":"A","config":{"name":"c"}}`},
		"a set to deliver to":          {"$JS.API.CONSUMER.CREATE.A.c", `{"stream_name":"A","config":{"name":"c","deliver_subject":"x.*"}}`},
		"no configuration":             {"$JS.API.CONSUMER.CREATE.A.c", `{"stream_name":"A"}`},
		"a number with a point":        {"$JS.API.STREAM.PURGE.A", `{"seq":1.5}`},
		"bytes after the object":       {"$JS.API.STREAM.PURGE.A", `{"seq":1} {}`},
		"long":                         {"$JS.API.STREAM.PURGE.A", `{"filter":"` + strings.Repeat("a", maxCall) + `"}`},
	} {
		if j, err := jetstream().understand(c[0], inboxMine, []byte(c[1])); err == nil {
			t.Errorf("%s: understood as %s", name, wrote(j.Actions))
		}
	}
}

// TestFilteredCalls: wildcards in the subject of a call are words of a filter; in that of a message they are none.
func TestFilteredCalls(t *testing.T) {
	for subject, want := range map[string]bool{
		"$JS.API.CONSUMER.CREATE.S.c.orders.>": true, "$JS.API.DIRECT.GET.S.a.*": true, "orders.*": false, "$KV.b.>": false, "$JS.API.>.x": false, "$JS.API.a*": false,
	} {
		if filtered([]byte(subject)) != want {
			t.Errorf("%s: %v", subject, !want)
		}
	}
}

func TestBoundedCalls(t *testing.T) {
	for call, want := range map[string]bool{
		`$JS.API.STREAM.PURGE.S {}`:                             false,
		`$JS.API.STREAM.PURGE.S `:                               false,
		`$JS.API.STREAM.PURGE.S {"filter":"a"}`:                 true,
		`$JS.API.STREAM.PURGE.S {"keep":1}`:                     true,
		`$JS.API.STREAM.DELETE.S `:                              false,
		`$JS.API.STREAM.UPDATE.S {"name":"S","max_age":1}`:      false,
		`$JS.API.STREAM.UPDATE.S {"name":"S","subjects":["a"]}`: true,
		`$JS.API.STREAM.INFO.S `:                                true,
	} {
		subject, payload, _ := strings.Cut(call, " ")
		j, err := jetstream().understand(subject, inboxMine, []byte(payload))
		if err != nil || j.Bounded != want {
			t.Errorf("%s: bounded %v, %v", call, j != nil && j.Bounded, err)
		}
	}
}

// TestCatalogue: what the server told of a stream narrows which subjects a call reads.
func TestCatalogue(t *testing.T) {
	k := jetstream()
	k.catalogue.learn([]byte(`{"type":"io.nats.jetstream.api.v1.stream_info_response","config":{"name":"S","subjects":["a.>","b"]}}`))
	k.catalogue.learn([]byte(`{"type":"io.nats.jetstream.api.v1.consumer_info_response","stream_name":"S","name":"c","config":{"filter_subject":"a.x"}}`))
	k.catalogue.learn([]byte(`{"type":"io.nats.jetstream.api.v1.consumer_create_response","stream_name":"S","name":"d","config":{}}`))
	k.catalogue.learn([]byte(`{"type":"io.nats.jetstream.api.v1.stream_info_response","config":{"name":"M","mirror":{"name":"S"}}}`))
	k.catalogue.learn([]byte(`{"type":"io.nats.jetstream.api.v1.stream_info_response","config":{"name":"odd","subjects":["a..b"]}}`))
	k.catalogue.learn([]byte(`{"type":"io.nats.jetstream.api.v1.stream_info_response","error":{"code":404}}`))
	for subject, want := range map[string]string{
		"$JS.API.CONSUMER.MSG.NEXT.S.c":   "Subscribe subject/a.x; Deliver subject/a.x",
		"$JS.API.CONSUMER.MSG.NEXT.S.d":   "Subscribe +subject/a.**; Deliver +subject/a.**; Subscribe subject/b; Deliver subject/b",
		"$JS.API.CONSUMER.MSG.NEXT.M.c":   "Subscribe +subject/**; Deliver +subject/**",
		"$JS.API.CONSUMER.MSG.NEXT.odd.c": "Subscribe +subject/**; Deliver +subject/**",
		// What is told of a stream here is not about one of another domain.
		"$JS.hub.API.CONSUMER.MSG.NEXT.S.c": "Consume stream/S/consumer/c; Subscribe +subject/**; Deliver +subject/**",
	} {
		j, err := k.understand(subject, inboxMine, nil)
		if err != nil || wrote(j.Related) != want {
			t.Errorf("%s: %v, %v", subject, j, err)
		}
	}
	for range maxCatalogue + 5 {
		k.catalogue.streams = remember(k.catalogue.streams, strings.Repeat("s", len(k.catalogue.streams)), nil)
	}
	if len(k.catalogue.streams) > maxCatalogue {
		t.Error("the catalogue is not bounded")
	}
}

func TestDestination(t *testing.T) {
	for dest, want := range map[string]string{
		"a.b": "a.b", "a.$1.b": "a.*.b", "a.{{wildcard(2)}}": "a.*", "{{partition(3,1,2)}}.x": "*.x", "a.{{split(1,-)}}.b": "a.>",
		"$KV.b.$2": "$KV.b.*", "a.>": "a.>", "a.x{{wildcard(1)}}": "a.>", "a.{{ wildcard( 1 ) }}": "a.>", "{{": ">",
	} {
		if got, ok := destination(dest); !ok || got != want {
			t.Errorf("%s: %s, %v", dest, got, ok)
		}
	}
	for _, dest := range []string{"", "a..b", "a b"} {
		if got, ok := destination(dest); ok {
			t.Errorf("%q is taken for %s", dest, got)
		}
	}
}

// TestPublishHeaders: headers that have the server do more than store the message.
func TestPublishHeaders(t *testing.T) {
	for name, c := range map[string]struct{ subject, header, value, actions, related string }{
		"none of the server's":    {"a", "Content-Type", "text/plain", "", ""},
		"an id":                   {"a", "Nats-Msg-Id", "1", "", ""},
		"rollup of a subject":     {"a", "Nats-Rollup", "sub", "Rollup subject/a", ""},
		"rollup of all":           {"a", "Nats-Rollup", "all", "Rollup +subject/**", ""},
		"rollup of a key":         {"$KV.b.k", "Nats-Rollup", "sub", "Rollup subject/$KV.b.k", "PurgeStream stream/KV_b"},
		"rollup of a bucket":      {"$KV.b.k.l", "Nats-Rollup", "all", "Rollup +subject/$KV.b.**", "PurgeStream stream/KV_b"},
		"a key removed":           {"$KV.b.k", "KV-Operation", "DEL", "", "DeleteMessage stream/KV_b"},
		"later":                   {"a", "Nats-Schedule", "@every 1s", "Schedule subject/a", ""},
		"to another subject":      {"a", "Nats-Schedule-Target", "b", "Publish subject/b", ""},
		"from another subject":    {"a", "Nats-Schedule-Source", "b", "Subscribe subject/b", ""},
		"a trace":                 {"a", "Nats-Trace-Dest", "b", "Publish subject/b", ""},
		"of tomorrow":             {"a", "Nats-Teleport", "b", "Opaque subject/a", ""},
		"in another case":         {"a", "nats-rollup", "all", "Opaque subject/a", ""},
		"a request by a prefix":   {"acme.js.API.STREAM.DELETE.S", "A", "b", "", "DeleteStream stream/S"},
		"a consumer by a prefix":  {"acme.API.CONSUMER.CREATE.S.c", "A", "b", "", "CreateConsumer stream/S/consumer/c"},
		"no request by a prefix":  {"acme.API.orders", "A", "b", "", ""},
		"a sum":                   {"a", "Nats-Incr", "1", "", "Subscribe subject/a"},
		"expected to be the last": {"a", "Nats-Expected-Last-Sequence", "7", "", ""},
	} {
		h := &headers{list: []header{{c.header, c.value}}}
		did, err := jetstream().publishes(c.subject, h)
		if err != nil || wrote(did.actions) != c.actions || wrote(did.related) != c.related {
			t.Errorf("%s: %s; %s; %v", name, wrote(did.actions), wrote(did.related), err)
		}
	}
	for name, h := range map[string]header{
		"a subject of the server's": {"Nats-Subject", "a"}, "a stream of the server's": {"Nats-Stream", "S"}, "a target that is a set": {"Nats-Schedule-Target", "a.*"},
	} {
		if _, err := jetstream().publishes("a", &headers{list: []header{h}}); err == nil {
			t.Errorf("%s is sent on", name)
		}
	}
}

// TestOrigin: a stored message is bound by what binds the subject that it was stored under, however it arrives.
func TestOrigin(t *testing.T) {
	answer := `{"type":"io.nats.jetstream.api.v1.stream_msg_get_response","message":{"subject":"a","seq":7,"data":"` +
		base64.StdEncoding.EncodeToString([]byte(`{"ssn":"1"}`)) + `","time":"2026-01-01T00:00:00Z"}}`
	for name, c := range map[string]struct {
		subject, reply, payload string
		h                       *headers
		actions, resources      string
	}{
		"plain":           {"a", "b", "x", nil, "Deliver subject/a", "subject/a"},
		"of a consumer":   {"a", ackMine, "x", nil, "Consume stream/ORDERS/consumer/work; Deliver subject/a", "subject/a stream/ORDERS"},
		"got":             {inboxMine, "", answer, nil, "Deliver subject/" + inboxMine + "; Deliver subject/a", "subject/" + inboxMine + " subject/a"},
		"got directly":    {inboxMine, "", "x", &headers{list: []header{{"Nats-Stream", "S"}, {"Nats-Subject", "a"}}}, "Deliver subject/" + inboxMine + "; Deliver subject/a", "subject/" + inboxMine + " subject/a stream/S"},
		"claimed":         {inboxMine, "", "x", &headers{list: []header{{"Nats-Subject", "free"}, {"Nats-Stream", "S"}, {"Nats-Subject", "a"}}}, "Deliver subject/" + inboxMine + "; Deliver subject/free; Deliver subject/a", "subject/" + inboxMine + " subject/free subject/a stream/S"},
		"published again": {"b", "", "x", &headers{list: []header{{"Nats-Stream", "S"}, {"Nats-Subject", "a"}}}, "Subscribe subject/b; Deliver subject/b; Deliver subject/a", "subject/b subject/a stream/S"},
	} {
		o, err := originOf(c.subject, c.reply, c.h, []byte(c.payload))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		o.listened = name == "published again"
		actions, related := o.delivery("jobs")
		if o.direct && o.stream != "" && !strings.Contains(wrote(related), "GetMessage stream/S") || o.direct && !strings.Contains(wrote(related), "Subscribe subject/a") {
			t.Errorf("%s: related %s", name, wrote(related))
		}
		if got := wrote(actions); got != c.actions {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.actions)
		}
		if got := strings.ReplaceAll(strings.Join(o.resources("jobs"), " "), "jobs/", ""); got != c.resources {
			t.Errorf("%s: resources %s, want %s", name, got, c.resources)
		}
	}
	if _, err := originOf(inboxMine, "", nil, []byte(strings.Replace(answer, `"seq"`, `"subject":"free","seq"`, 1))); err == nil {
		t.Error("an answer with two subjects is read")
	}
	if _, err := originOf(inboxMine, "", nil, []byte(strings.Replace(answer, `"message"`, `"ssn":"1","message"`, 1))); err == nil {
		t.Error("an answer that says more than a server does is read")
	}
	if o, err := originOf("logs", "", nil, []byte("asked for "+answer)); err != nil || o.inside {
		t.Error("a message that speaks of an answer is taken for one", err)
	}
	m, err := unpackStored([]byte(answer))
	if err != nil || string(m.Data) != `{"ssn":"1"}` {
		t.Fatal(m, err)
	}
	packed, err := packStored([]byte(answer), m.Head, []byte(`{"ssn":"*"}`))
	if err != nil || strings.Contains(string(packed), base64.StdEncoding.EncodeToString([]byte(`{"ssn":"1"}`))) || !strings.Contains(string(packed), `"seq":7`) {
		t.Error(string(packed), err)
	}
}

// FuzzCalls: whatever is sent is refused, or has actions, and literals that lie in its text.
func FuzzCalls(f *testing.F) {
	for _, c := range understandCases {
		f.Add(c.subject, []byte(c.payload))
	}
	f.Fuzz(func(t *testing.T, subject string, payload []byte) {
		if !isCall(subject) || !literal([]byte(subject)) {
			return
		}
		j, err := jetstream().understand(subject, inboxMine, payload)
		if err != nil {
			return
		}
		if len(j.Actions) == 0 {
			t.Fatal("no action")
		}
		for _, s := range j.Literals {
			if s.Start < 0 || s.Start >= s.End || s.End > len(j.Text) {
				t.Fatalf("literal %v of %q", s, j.Text)
			}
		}
	})
}
