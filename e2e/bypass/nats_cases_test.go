package bypass

import (
	"fmt"
	"strings"
	"time"
)

// Attacks by publishing.
var natsPublishing = []natsCase{
	{technique: "a publish to a denied subject", channel: "plain", steps: []natsStep{pub("secret.a", natsForged)}},
	{technique: "a publish to a denied subject", channel: "headers", steps: []natsStep{hpub("secret.a", "A: b\r\n", natsForged)}},
	{technique: "a publish to a denied subject", channel: "small letters", steps: []natsStep{said("pub secret.a 6\r\nforged\r\n")}},
	{technique: "a publish to a denied subject", channel: "mixed letters", steps: []natsStep{said("hPuB secret.a 12 18\r\nNATS/1.0\r\n\r\nforged\r\n")}},
	{technique: "a publish to a denied subject", channel: "tabs", steps: []natsStep{said("PUB\tsecret.a\t6\r\nforged\r\n")}},
	{technique: "a publish to a denied subject", channel: "byte by byte", steps: []natsStep{slowly("PUB secret.a 6\r\nforged\r\n")}},
	{technique: "a publish to a denied subject", channel: "behind a large one", steps: []natsStep{pub("open.a", strings.Repeat("x", 300<<10)), pub("secret.a", natsForged)}},
	{technique: "a publish to a key of a denied bucket", channel: "plain", steps: []natsStep{pub("$KV.vault.k", natsForged)}},
	{technique: "a message inside of another", channel: "size with zeros", unproven: "servers read the size alike",
		steps: []natsStep{said("PUB open.a 00028\r\nx\r\nPUB secret.a 6\r\nforged\r\n\r\n")}},
	{technique: "a message inside of another", channel: "size with a sign", unproven: "servers end the connection",
		steps: []natsStep{said("PUB open.a +1\r\nx\r\nPUB secret.a 6\r\nforged\r\n")}},
	{technique: "a message inside of another", channel: "size beyond 32 bits", unproven: "servers end the connection",
		steps: []natsStep{said("PUB open.a 4294967297\r\nx\r\nPUB secret.a 6\r\nforged\r\n")}},
	{technique: "a message inside of another", channel: "headers longer than the message", unproven: "servers end the connection",
		steps: []natsStep{said("HPUB open.a 40 12\r\nNATS/1.0\r\n\r\n\r\nPUB secret.a 6\r\nforged\r\n")}},
	{technique: "a message inside of another", channel: "a line that ends in LF alone",
		steps: []natsStep{said("PUB secret.a 6\nforged\r\n")}},
	{technique: "an answer that goes to a denied subject", channel: "acknowledged publish", steps: []natsStep{pubReply("open.a", "secret.a", "x")}},
	{technique: "an answer that goes to a denied subject", channel: "message of a stream",
		steps: []natsStep{pubReply("$JS.API.STREAM.MSG.GET.OPEN", "secret.a", `{"seq":1}`)}},
	{technique: "an answer that goes to a denied subject", channel: "consumer",
		steps: []natsStep{pubReply("$JS.API.CONSUMER.MSG.NEXT.MIX.mixed", "secret.a", `{"batch":1,"no_wait":true}`)}},
	{technique: "an answer that goes to a denied subject", channel: "information", steps: []natsStep{pubReply("$JS.API.INFO", "secret.a", "")}},
	{technique: "a publish to somebody's inbox", channel: "plain", victim: true, steps: []natsStep{pub(natsVictim+".1", natsForged)}},
	{technique: "a publish to somebody's inbox", channel: "an answer of the server", victim: true, steps: []natsStep{pubReply("$JS.API.INFO", natsVictim+".1", "")}},
	{technique: "a publish to somebody's inbox", channel: "what a stream publishes again", victim: true, changes: true, steps: []natsStep{
		ask("$JS.API.STREAM.CREATE.X", `{"name":"X","subjects":["mine.>"],"republish":{"src":"mine.>","dest":"`+natsVictim+`.>"},"storage":"memory"}`), pub("mine.a", natsForged)}},
	{technique: "a publish to somebody's inbox", channel: "what a consumer delivers", victim: true, changes: true, steps: natsPush("OPEN", natsVictim+".x", "")[1:]},
	{technique: "an event of the server that is forged", channel: "plain", steps: []natsStep{pub("$JS.EVENT.ADVISORY.API", natsForged)}},
	{technique: "messages that are removed by a publish", channel: "rollup of a subject", steps: []natsStep{hpub("open.1", "Nats-Rollup: sub\r\n", "x")}},
	{technique: "messages that are removed by a publish", channel: "rollup of a stream", steps: []natsStep{hpub("open.a", "Nats-Rollup: all\r\n", "x")}},
	{technique: "messages that are removed by a publish", channel: "rollup of a bucket", steps: []natsStep{hpub("$KV.notes.x", "Nats-Rollup: all\r\n", "x")}},
	{technique: "messages that are removed by a publish", channel: "a header behind a value",
		steps: []natsStep{hpub("open.a", "A: b\r\nNats-Rollup: all\r\n", "x")}},
	{technique: "messages that are removed by a publish", channel: "an acknowledgement nobody was given",
		steps: []natsStep{pub("$JS.ACK.SECRET.work.1.1.1.1700000000000000000.1", "+TERM")}},
}

// Attacks by listening.
var natsListening = []natsCase{
	{technique: "a denied subject that is listened to", channel: "plain", steps: []natsStep{sub("secret.live", "1"), live}},
	{technique: "a denied subject that is listened to", channel: "queue group", steps: []natsStep{sub("secret.live q", "1"), live}},
	{technique: "a denied subject that is listened to", channel: "small letters", steps: []natsStep{said("sub secret.live 1\r\n"), live}},
	{technique: "a set that holds a denied subject", channel: "a word", steps: []natsStep{sub("secret.*", "1"), live}},
	{technique: "a set that holds a denied subject", channel: "another word", steps: []natsStep{sub("*.live", "1"), live}},
	{technique: "a set that holds a denied subject", channel: "everything", steps: []natsStep{sub(">", "1"), live}},
	{technique: "a set that holds a denied subject", channel: "everything of two words", steps: []natsStep{sub("*.*", "1"), live}},
	{technique: "a set that holds a denied subject", channel: "queue group of everything", steps: []natsStep{sub("> q", "1"), live}},
	{technique: "a set that holds a denied subject", channel: "overlapping", steps: []natsStep{sub("open.>", "1"), sub("mix.>", "2"), sub("mix.*.live", "3"), live}},
	{technique: "a set that holds a denied subject", channel: "keys of a bucket", steps: []natsStep{sub("$KV.>", "1"), live}},
	{technique: "a name of a subscription that is used again", channel: "plain", unproven: "servers keep the old one",
		steps: []natsStep{sub("open.live", "1"), sub("secret.live", "1"), live}},
	{technique: "a name of a subscription that is used again", channel: "ended", steps: []natsStep{sub("open.live", "1"), said("UNSUB 1\r\n"), sub("secret.live", "1"), live}},
	{technique: "a name of a subscription that is used again", channel: "ended later", steps: []natsStep{sub("secret.live", "1"), said("UNSUB 1 1\r\n"), live}},
	{technique: "somebody's inbox that is listened to", channel: "all inboxes", victim: true, steps: []natsStep{sub("_INBOX.>", "1"), live}},
	{technique: "somebody's inbox that is listened to", channel: "all inboxes, by words", victim: true, steps: []natsStep{sub("_INBOX.*.*", "1"), live}},
	{technique: "somebody's inbox that is listened to", channel: "by a first word", victim: true, steps: []natsStep{sub("*.*.1", "1"), live}},
	{technique: "somebody's inbox that is listened to", channel: "everything", victim: true, steps: []natsStep{sub(">", "1"), live}},
	{technique: "somebody's inbox that is listened to", channel: "its own name", victim: true, steps: []natsStep{sub(natsVictim+".*", "1"), live}},
	{technique: "somebody's inbox that is listened to", channel: "a stream", victim: true, changes: true, steps: []natsStep{
		ask("$JS.API.STREAM.CREATE.X", `{"name":"X","subjects":["_INBOX.>"],"storage":"memory","no_ack":true}`), live,
		ask("$JS.API.STREAM.MSG.GET.X", `{"last_by_subj":"`+natsVictim+`.1"}`)}},
	{technique: "a masked field that is listened to", channel: "plain", steps: []natsStep{sub("people.live", "1"), live}},
	{technique: "a masked field that is listened to", channel: "queue group", steps: []natsStep{sub("people.live q", "1"), live}},
	{technique: "a masked field that is listened to", channel: "a set", steps: []natsStep{sub("people.>", "1"), live}},
	{technique: "a masked field that is listened to", channel: "everything", steps: []natsStep{sub(">", "1"), live}},
	{technique: "a login in the middle", channel: "as another user",
		steps: []natsStep{said(`CONNECT {"user":"app","pass":"app-obviously-fake-password"}` + "\r\n"), sub("secret.live", "1"), live}},
}

// Attacks by configurations.
var natsStreams = []natsCase{
	{technique: "a stream that captures a denied subject", channel: "create", steps: []natsStep{
		ask("$JS.API.STREAM.CREATE.X", `{"name":"X","subjects":["hidden.>"],"storage":"memory"}`)}},
	{technique: "a stream that captures a denied subject", channel: "update", steps: []natsStep{
		ask("$JS.API.STREAM.UPDATE.OPEN", `{"name":"OPEN","subjects":["open.>","hidden.>"],"storage":"memory","retention":"limits","discard":"old","max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"max_msgs_per_subject":-1,"max_msg_size":-1,"num_replicas":1,"duplicate_window":120000000000,"allow_direct":true,"allow_rollup_hdrs":true}`)}},
	{technique: "a stream that copies a denied one", channel: "mirror", steps: []natsStep{
		ask("$JS.API.STREAM.CREATE.X", `{"name":"X","mirror":{"name":"SECRET"},"storage":"memory"}`)}},
	{technique: "a stream that copies a denied one", channel: "source", steps: []natsStep{
		ask("$JS.API.STREAM.CREATE.X", `{"name":"X","sources":[{"name":"SECRET","filter_subject":"secret.1"}],"storage":"memory"}`)}},
	{technique: "a stream that copies a denied one", channel: "source of denied subjects", steps: []natsStep{
		ask("$JS.API.STREAM.CREATE.X", `{"name":"X","sources":[{"name":"MIX","filter_subject":"mix.secret.>"}],"storage":"memory"}`)}},
	{technique: "a stream that copies a denied one", channel: "source of everything", steps: []natsStep{
		ask("$JS.API.STREAM.CREATE.X", `{"name":"X","sources":[{"name":"MIX"}],"storage":"memory"}`)}},
	{technique: "a stream that copies masked messages", channel: "mirror", steps: []natsStep{
		ask("$JS.API.STREAM.CREATE.X", `{"name":"X","mirror":{"name":"PEOPLE"},"storage":"memory"}`)}},
	{technique: "a stream that publishes again", channel: "to a denied subject", steps: []natsStep{
		ask("$JS.API.STREAM.CREATE.X", `{"name":"X","subjects":["mine.>"],"republish":{"src":"mine.>","dest":"secret.>"},"storage":"memory"}`), pub("mine.a", natsForged)}},
	{technique: "a stream that publishes again", channel: "masked messages", changes: true, steps: []natsStep{
		ask("$JS.API.STREAM.CREATE.X", `{"name":"X","subjects":["staff.>"],"republish":{"src":"staff.>","dest":"mine.>"},"storage":"memory"}`),
		sub("mine.>", "1"), republished}},
	{technique: "a key that is said twice", channel: "subjects of a stream", steps: []natsStep{
		ask("$JS.API.STREAM.CREATE.X", `{"name":"X","subjects":["hidden.>"],"Subjects":["mine.x"],"storage":"memory"}`)}, changes: true,
		unproven: "what a server makes of it is its own to say"},
	{technique: "messages that are removed by a configuration", channel: "a smaller stream", steps: []natsStep{
		pub("open.2", "x"), ask("$JS.API.STREAM.UPDATE.OPEN", `{"name":"OPEN","subjects":["open.>"],"storage":"memory","retention":"limits","discard":"old","max_consumers":-1,"max_msgs":1,"max_bytes":-1,"max_msgs_per_subject":-1,"max_msg_size":-1,"num_replicas":1,"duplicate_window":120000000000,"allow_direct":true,"allow_rollup_hdrs":true}`)}},
	{technique: "messages that are removed by a request", channel: "purge", steps: []natsStep{ask("$JS.API.STREAM.PURGE.OPEN", "")}},
	{technique: "messages that are removed by a request", channel: "purge of a set", steps: []natsStep{ask("$JS.API.STREAM.PURGE.OPEN", `{"filter":"open.>"}`)}},
	{technique: "messages that are removed by a request", channel: "one of them", steps: []natsStep{ask("$JS.API.STREAM.MSG.DELETE.OPEN", `{"seq":1}`)}},
	{technique: "messages that are removed by a request", channel: "the stream", steps: []natsStep{ask("$JS.API.STREAM.DELETE.OPEN", "")}},
	{technique: "messages that are removed by a request", channel: "without an answer", steps: []natsStep{pub("$JS.API.STREAM.DELETE.OPEN", "")}},
}

// natsConsumer makes a consumer and takes what it has.
func natsConsumer(stream, config string) []natsStep {
	return []natsStep{
		ask("$JS.API.CONSUMER.CREATE."+stream+".c", fmt.Sprintf(`{"stream_name":%q,"config":{"name":"c","ack_policy":"none","deliver_policy":"all"%s}}`, stream, config)),
		ask("$JS.API.CONSUMER.MSG.NEXT."+stream+".c", `{"batch":10,"no_wait":true}`),
	}
}

// republished waits for what a stream publishes again.
func republished(s *natsSession) {
	live(s)
	if !strings.Contains(s.heard.String(), "-ERR") {
		s.until(2*time.Second, "MSG mine.")
	}
}

// natsPush makes a consumer that delivers by itself.
func natsPush(stream, to, config string) []natsStep {
	return []natsStep{sub(to, "800"), ask("$JS.API.CONSUMER.CREATE."+stream, fmt.Sprintf(
		`{"stream_name":%q,"config":{"ack_policy":"none","deliver_policy":"all","deliver_subject":%q%s}}`, stream, to, config)), push}
}

// Attacks by reading what is stored.
var natsReading = []natsCase{
	{technique: "a message of a denied stream", channel: "by its number", steps: []natsStep{ask("$JS.API.STREAM.MSG.GET.SECRET", `{"seq":1}`)}},
	{technique: "a message of a denied stream", channel: "directly", steps: []natsStep{ask("$JS.API.DIRECT.GET.SECRET", `{"seq":1}`)}},
	{technique: "a message of a denied stream", channel: "consumer", changes: true, steps: natsConsumer("SECRET", "")},
	{technique: "a message of a denied stream", channel: "its own consumer", changes: true, steps: []natsStep{ask("$JS.API.CONSUMER.MSG.NEXT.SECRET.work", "1")}},
	{technique: "a message of a denied stream", channel: "the next of an acknowledgement", changes: true,
		steps: []natsStep{ask("$JS.ACK.SECRET.work.1.1.1.1700000000000000000.1", "+NXT")}},
	{technique: "a message of a denied subject", channel: "by its number", steps: []natsStep{ask("$JS.API.STREAM.MSG.GET.MIX", `{"seq":2}`)}},
	{technique: "a message of a denied subject", channel: "the last one", steps: []natsStep{ask("$JS.API.STREAM.MSG.GET.MIX", `{"last_by_subj":"mix.secret.1"}`)}},
	{technique: "a message of a denied subject", channel: "the next one", steps: []natsStep{ask("$JS.API.STREAM.MSG.GET.MIX", `{"seq":1,"next_by_subj":"mix.secret.*"}`)}},
	{technique: "a message of a denied subject", channel: "directly, the last one", steps: []natsStep{ask("$JS.API.DIRECT.GET.MIX", `{"last_by_subj":"mix.secret.1"}`)}},
	{technique: "a message of a denied subject", channel: "directly, by its number", steps: []natsStep{ask("$JS.API.DIRECT.GET.MIX", `{"seq":2}`)}},
	{technique: "a message of a denied subject", channel: "directly, in the request's subject", steps: []natsStep{ask("$JS.API.DIRECT.GET.MIX.mix.secret.1", "")}},
	{technique: "a message of a denied subject", channel: "consumer without a filter", changes: true, steps: natsConsumer("MIX", "")},
	{technique: "a message of a denied subject", channel: "consumer with a filter", changes: true, steps: natsConsumer("MIX", `,"filter_subject":"mix.secret.>"`)},
	{technique: "a message of a denied subject", channel: "consumer with a set", changes: true, steps: natsConsumer("MIX", `,"filter_subject":"mix.*.*"`)},
	{technique: "a message of a denied subject", channel: "consumer with a filter in the request's subject", changes: true, steps: []natsStep{
		ask("$JS.API.CONSUMER.CREATE.MIX.c.mix.secret.1", `{"stream_name":"MIX","config":{"name":"c","ack_policy":"none","filter_subject":"mix.secret.1"}}`),
		ask("$JS.API.CONSUMER.MSG.NEXT.MIX.c", "5")}},
	{technique: "a message of a denied subject", channel: "consumer of others", changes: true, steps: []natsStep{ask("$JS.API.CONSUMER.MSG.NEXT.MIX.mixed", `{"batch":5,"no_wait":true}`)}},
	{technique: "a message of a denied subject", channel: "pushed", changes: true, steps: natsPush("MIX", "${inbox}p.x", "")},
	{technique: "a message of a denied subject", channel: "pushed to a subject of everybody's", changes: true, steps: append([]natsStep{sub("mine.x", "7")}, natsPush("MIX", "mine.x", "")...)},
	{technique: "a message that is pushed to a denied subject", channel: "consumer", changes: true, steps: natsPush("OPEN", "secret.x", "")[1:]},
	{technique: "a key of a denied bucket", channel: "watched", changes: true, steps: natsPush("KV_vault", "${inbox}p.x", `,"filter_subject":"$KV.vault.>"`)},
	{technique: "a key of a denied bucket", channel: "got", steps: []natsStep{ask("$JS.API.STREAM.MSG.GET.KV_vault", `{"last_by_subj":"$KV.vault.k"}`)}},
	{technique: "a key of a denied bucket", channel: "got by its number", steps: []natsStep{ask("$JS.API.DIRECT.GET.KV_vault", `{"seq":1}`)}},
	{technique: "a masked field that is stored", channel: "got", steps: []natsStep{ask("$JS.API.STREAM.MSG.GET.PEOPLE", `{"seq":1}`)}},
	{technique: "a masked field that is stored", channel: "got directly", steps: []natsStep{ask("$JS.API.DIRECT.GET.PEOPLE", `{"last_by_subj":"people.1"}`)}},
	{technique: "a masked field that is stored", channel: "consumer", changes: true, steps: natsConsumer("PEOPLE", "")},
	{technique: "a masked field that is stored", channel: "pushed", changes: true, steps: natsPush("PEOPLE", "${inbox}p.x", "")},
	{technique: "a masked field that is stored", channel: "pushed to a subject of everybody's", changes: true, steps: append([]natsStep{sub("mine.x", "7")}, natsPush("PEOPLE", "mine.x", "")...)},
	{technique: "a masked field that is stored", channel: "pushed into a stream", changes: true, steps: append(natsPush("PEOPLE", "open.stolen", ""),
		ask("$JS.API.STREAM.MSG.GET.OPEN", `{"last_by_subj":"open.stolen"}`), ask("$JS.API.STREAM.MSG.GET.OPEN", `{"last_by_subj":"people.1"}`))},
}
