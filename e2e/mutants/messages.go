package mutants

// messages holds the checks on the way of a message, and of what is asked for streams and subscriptions.
var messages = []mutant{
	{
		check: "messages: the record of a flood lasts before it leaves", file: "internal/gate/outlet.go",
		find: "if err := o.d.svc.Recorder.Barrier(seq); err != nil {", replace: "if err := error(nil); err != nil {",
		pkg: "./internal/gate", test: "TestFloodNeedsItsRecord",
	},
	{
		check: "messages: a window holds no more than its intent says", file: "internal/gate/flood.go",
		find: "w.closed || w.taken >= w.most ||", replace: "w.closed ||",
		pkg: "./internal/gate", test: "TestFloodsAreRecordedByWindows",
	},
	{
		check: "messages: judged bytes leave once", file: "internal/gate/duplex.go",
		find: "} else if p.from >= d.passed {", replace: "} else {",
		pkg: "./internal/gate", test: "TestBytesLeaveOnce",
	},
	{
		check: "messages: what waited for the backend is decided again", file: "internal/gate/outlet.go",
		find: "if d.update(h); !h.static || h.verdict.Effect != access.Allow || h.oracle != \"\" {", replace: "if d.update(h); h.verdict.Effect == access.Effect(99) {",
		pkg: "./internal/gate", test: "TestWaitingBytesAreDecidedAgain",
	},
	{
		check: "messages: what carries a mask is rebuilt", file: "internal/gate/duplex.go",
		find: "if p.masked {\n\t\treturn errPermit(\"gate.Reply", replace: "if false {\n\t\treturn errPermit(\"gate.Reply",
		pkg: "./internal/gate", test: "TestMaskedPassesAreNotSpliced",
	},
	{
		check: "messages: what waits for reviewers is bounded", file: "internal/gate/beside.go",
		find: "if d.kept+len(judged) > d.limits.Staged || len(d.held) >= d.limits.Actions {", replace: "if false {",
		pkg: "./internal/gate", test: "TestHeldMessagesAreBounded",
	},
	{
		check: "streams: a request is about the stream that its subject names", file: "internal/protocol/nats/jetstream_stream.go",
		find: "if name := o.text(\"name\"); name != stream {", replace: "if name := o.text(\"name\"); name == \"\" {",
		pkg: "./internal/protocol/nats", test: "TestCallsThatCannotBeRead",
	},
	{
		check: "streams: a key that is not known is not understood", file: "internal/protocol/nats/jetstream_json.go",
		find: "if !o.asked[name] {", replace: "if false {",
		pkg: "./internal/protocol/nats", test: "TestCallsUnderstood",
	},
	{
		check: "streams: an answer goes where its caller may publish", file: "internal/protocol/nats/jetstream.go",
		find: "if c.reply != \"\" && !c.mine(c.reply) {", replace: "if false {",
		pkg: "./internal/protocol/nats", test: "TestWhereAnswersGo",
	},
	{
		check: "streams: what answers told does not narrow a backup", file: "internal/protocol/nats/jetstream_stream.go",
		find: "c.takes(names[0], everything())", replace: "c.takes(names[0], c.subjectsOf(names[0]))",
		pkg: "./internal/protocol/nats", test: "TestForgedAnswers",
	},
	{
		check: "streams: the gateway reads headers whatever its client does", file: "internal/protocol/nats/open.go",
		find: "Headers: true,", replace: "Headers: h.headers,",
		pkg: "./internal/protocol/nats", test: "TestClientsWithoutHeaders",
	},
	{
		check: "streams: a mask on a stream holds for whoever else listens", file: "internal/protocol/nats/deliver.go",
		find: "known := o.consumer == \"\" && !o.direct", replace: "known := !a.stored && !o.direct",
		pkg: "./internal/protocol/nats", test: "TestStreamsDeliverToSetsToo",
	},
	{
		check: "streams: masked messages are not copied", file: "internal/protocol/nats/jetstream_stream.go",
		find: "\tc.takes(name, sets)\n", replace: "",
		pkg: "./internal/protocol/nats", test: "TestCopiesOfMaskedMessages",
	},
	{
		check: "streams: a stored message is bound by the subject that it was stored under", file: "internal/protocol/nats/jetstream_read.go",
		find: "strings.EqualFold(e.name, headerSubject) && e.value != \"\":", replace: "strings.EqualFold(e.name, headerSubject) && e.value == headerSubject:",
		pkg: "./internal/protocol/nats", test: "TestOrigin",
	},
	{
		check: "subjects: a token is only taken over TLS", file: "internal/protocol/nats/accept.go",
		find: "if a.tls == nil && !a.hello.Plaintext {", replace: "if false {",
		pkg: "./internal/protocol/nats", test: "TestStrangers",
	},
	{
		check: "subjects: an inbox is one principal's", file: "internal/protocol/nats/state.go",
		find: "if h.n > 0 && h.principal != principal {", replace: "if false {",
		pkg: "./internal/protocol/nats", test: "TestInboxes",
	},
	{
		check: "subjects: who answers was asked", file: "internal/protocol/nats/publish.go",
		find: "return len(s.given.when) > 0 && s.given.use(subject, s.g.Now())", replace: "return true",
		pkg: "./internal/protocol/nats", test: "TestReplies",
	},
	{
		check: "subjects: an answer does not make servers act", file: "internal/protocol/nats/publish.go",
		find: "given := s.isGiven([]byte(subject)) && !internalCall(subject)", replace: "given := s.isGiven([]byte(subject))",
		pkg: "./internal/protocol/nats", test: "TestReplies",
	},
	{
		check: "subjects: an answer elsewhere needs permission there", file: "internal/protocol/nats/publish.go",
		find: "if !mine {", replace: "if false {",
		pkg: "./internal/protocol/nats", test: "TestAnswersElsewhere",
	},
	{
		check: "subjects: no header in disguise", file: "internal/protocol/nats/publish.go",
		find: "case disguised(&read):", replace: "case false:",
		pkg: "./internal/protocol/nats", test: "TestOddHeaders",
	},
	{
		check: "subjects: a set of all is of users' own", file: "internal/protocol/nats/deliver.go",
		find: "if anywhere(u.subject) && ", replace: "if false && ",
		pkg: "./internal/protocol/nats", test: "TestInboxes",
	},
	{
		check: "subjects: a group loses nothing quietly", file: "internal/protocol/nats/deliver.go",
		find: "case a.u.queue != \"\":", replace: "case false:",
		pkg: "./internal/protocol/nats", test: "TestGroupsLoseNothingQuietly",
	},
	{
		check: "subjects: what arrives is masked", file: "internal/protocol/nats/deliver.go",
		find: "s.hidden(a.k, access.ToClient)", replace: "s.hidden(a.k, access.ToBackend)",
		pkg: "./internal/protocol/nats", test: "TestMasked",
	},
	{
		check: "sets: what is not asked apart is denied with any part", file: "internal/policy/rules.go",
		find: "if a.Apart && b.effect == effectDeny {", replace: "if b.effect == effectDeny {",
		pkg: "./internal/policy", test: "TestSetsAreDecidedAsAWhole",
	},
	{
		check: "queues: copies go by keys of their own", file: "internal/protocol/amqp/arguments.go",
		find: "[...]string{\"CC\", \"BCC\"}", replace: "[...]string{\"CC\"}",
		pkg: "./internal/protocol/amqp", test: "TestUnderstand",
	},
	{
		check: "queues: a queue that the broker named for others is theirs", file: "internal/protocol/amqp/understand.go",
		find: "if strings.HasPrefix(queue, serverNamed) && !j.known.owns(queue) {", replace: "if false {",
		pkg: "./internal/protocol/amqp", test: "TestUnderstand",
	},
	{
		check: "queues: dead letters are published", file: "internal/protocol/amqp/understand.go",
		find: "return j.deadLetters(m.Arguments)", replace: "return nil",
		pkg: "./internal/protocol/amqp", test: "TestUnderstand",
	},
	{
		check: "queues: a binding publishes to the exchange that it leads to", file: "internal/protocol/amqp/understand.go",
		find: "j.publishKey(m.Destination, key, \"\")", replace: "_ = key",
		pkg: "./internal/protocol/amqp", test: "TestUnderstand",
	},
	{
		check: "queues: a queue without an exchange between counts as one", file: "internal/protocol/amqp/understand.go",
		find: "if direct { // the key", replace: "if false { // the key",
		pkg: "./internal/protocol/amqp", test: "TestUnderstand",
	},
	{
		check: "queues: traces, logs and events of the broker are opaque", file: "internal/protocol/amqp/understand.go",
		find: "if tells(exchange) {", replace: "if false {",
		pkg: "./internal/protocol/amqp", test: "TestUnderstand",
	},
	{
		check: "queues: names hold no line ends", file: "internal/protocol/amqp/understand.go",
		find: "return r < ' ' || r >= 0x7f && r < 0xa0", replace: "return r == 0x7f",
		pkg: "./internal/protocol/amqp", test: "TestNotUnderstood",
	},
	{
		check: "queues: who vouches for a user is the broker", file: "internal/protocol/amqp/arguments.go",
		find: "if p.has&hasUserID != 0 {", replace: "if false {",
		pkg: "./internal/protocol/amqp", test: "TestNotUnderstood",
	},
	{
		check: "queues: where a key means nothing a binding takes all", file: "internal/protocol/amqp/keys.go",
		find: "return everyKey()\n}", replace: "return boundKeys(key)\n}",
		pkg: "./internal/protocol/amqp", test: "TestUnderstand",
	},
	{
		check: "queues: # is no word, too", file: "internal/protocol/amqp/keys.go",
		find: "out = append(out, with, append(append([]string{}, words[:i]...), after...))", replace: "out = append(out, with)",
		pkg: "./internal/protocol/amqp", test: "TestRapidBindingKeys",
	},
	{
		check: "queues: a type is learned from the newest answer", file: "internal/protocol/amqp/keys.go",
		find: "if e.since(exchange) == since && (", replace: "if (",
		pkg: "./internal/protocol/amqp", test: "TestKindsOfExchanges",
	},
	{
		check: "queues: a document's type holds until somebody asks to change it", file: "internal/protocol/amqp/keys.go",
		find: "if e.since(exchange) != 0 {", replace: "if false {",
		pkg: "./internal/protocol/amqp", test: "TestVouchedExchanges",
	},
	{
		check: "queues: an empty name is that of the newest declare", file: "internal/protocol/amqp/known.go",
		find: "n.unnamed == 0 && n.newest && n.last == \"\"", replace: "n.unnamed == 0",
		pkg: "./internal/protocol/amqp", test: "TestNaming",
	},
	{
		check: "queues: a key among several is not known", file: "internal/protocol/amqp/facts.go",
		find: "if _, copies := p.Headers.Get(name); copies {", replace: "if _, copies := p.Headers.Get(name); copies && false {",
		pkg: "./internal/protocol/amqp", test: "TestMessageFacts",
	},
	{
		check: "queues: a message is of where it was dead-lettered", file: "internal/protocol/amqp/origins.go",
		find: "for _, d := range deaths {", replace: "for _, d := range deaths[:0] {",
		pkg: "./internal/protocol/amqp", test: "TestMessagesHaveTheirWay",
	},
	{
		check: "messages: what did not leave is not done", file: "internal/gate/outlet.go",
		find: "if o.err = err; err == nil {", replace: "if o.err = err; true {",
		pkg: "./internal/gate", test: "TestFloodNeedsItsRecord",
	},
}
