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
}
