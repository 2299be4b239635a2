// Package mutants is how the test suite proves that it can fail: each mutant removes one check on the way of a statement,
// and names the test that must turn red. TestMutants keeps the table current in every run, and with MUTANTS=1 (which is
// `make mutants`) runs every one of them.
package mutants

// mutant is one check that is taken away: by replacing, in one file, one text that is there once.
type mutant struct {
	check   string // what is removed, in words
	file    string
	find    string
	replace string
	pkg     string // where the test is
	test    string // the test that turns red
}

// table holds the checks in the order in which a statement meets them.
var table = []mutant{
	{
		check: "token: its signature", file: "internal/identity/verifier.go",
		find: "if refusal := u.checkSignature(i, keys); refusal != nil {", replace: "if refusal := u.checkSignature(i, keys); false {",
		pkg: "./e2e", test: "TestNoTokenNoByte",
	},
	{
		check: "token: a refused one ends the login", file: "internal/session/session.go",
		find: "claim.Token.Wipe()\n\tif err != nil {", replace: "claim.Token.Wipe()\n\tif err != nil {\n\t\tprincipal, err = &access.Principal{Issuer: \"x\", Subject: \"fn:reader\", Expires: s.o.Gate.Clock().Add(time.Hour)}, nil\n\t}\n\tif err != nil {",
		pkg: "./e2e", test: "TestNoTokenNoByte",
	},
	{
		check: "role: one must reach the connection", file: "internal/policy/rules.go",
		find: "if !r.reached() {", replace: "if false {",
		pkg: "./e2e", test: "TestRoleMustAllowTheConnection",
	},
	{
		check: "role: it must allow to connect", file: "internal/gate/decide.go",
		find: "v := g.decide(g.Judge(connect), facts{})\n\tif v.Effect != access.Allow {", replace: "v := g.decide(g.Judge(connect), facts{})\n\tif false {",
		pkg: "./e2e", test: "TestRoleMustAllowTheConnection",
	},
	{
		check: "renaming: a name, and nothing else", file: "internal/gate/rename.go",
		find: "if !r.fits(judged, length, at) {", replace: "if false {",
		pkg: "./internal/gate", test: "TestRenamingIsNothingElse",
	},
	{
		check: "deny: what is not allowed is refused", file: "internal/gate/ask.go",
		find: "if v.Effect != access.Allow {\n\t\treturn Permit{}, g.refuse(h, r, v)", replace: "if false {\n\t\treturn Permit{}, g.refuse(h, r, v)",
		pkg: "./e2e", test: "TestPsql",
	},
	{
		check: "mask: a masked field must not steer what a statement does", file: "internal/gate/ask.go",
		find: "return v.Effect != access.Deny && h.oracle != \"\"", replace: "return false",
		pkg: "./e2e", test: "TestMaskedLeavesInNoForm",
	},
	{
		check: "mask: a field is looked up by only where its mask allows it", file: "internal/gate/budget.go",
		find: "case masked && m.Lookup.Count <= 0:", replace: "case false:",
		pkg: "./internal/gate", test: "TestLookupsNeedPermission",
	},
	{
		check: "mask: lookups have a budget", file: "internal/gate/budget.go",
		find: "k, l.limit, 1, now); left < 0 {", replace: "k, l.limit, 1, now); left < 0 && false {",
		pkg: "./e2e", test: "TestLookups",
	},
	{
		check: "budget: rows that leave count", file: "internal/protocol/postgres/meter.go",
		find: "err = s.g.Spend(r.permit, 1, int64(size))", replace: "err = nil",
		pkg: "./e2e", test: "TestRowBudget",
	},
	{
		check: "budget: in a transaction the session ends", file: "internal/protocol/postgres/meter.go",
		find: "return alone && s.ran == 1 && s.state.tx == txIdle && onlyReads(r.u)", replace: "return alone",
		pkg: "./e2e", test: "TestRowBudgetEndsWhatItCannotCut",
	},
	{
		check: "budget: a row that is passed on in pieces counts", file: "internal/protocol/postgres/answers.go",
		find: "if r.metered {\n\t\t\tif more, err := s.meter(s.due(), r, size); !more {", replace: "if r.metered {\n\t\t\tif more, err := true, error(nil); !more {",
		pkg: "./e2e", test: "TestRowBudget",
	},
	{
		check: "budget: where it is used up nothing more is begun", file: "internal/gate/ask.go",
		find: "if meters, err = g.budgeted(v); err != nil {", replace: "if meters, err = g.budgeted(v); false {",
		pkg: "./e2e", test: "TestRowBudget",
	},
	{
		check: "mask: a row that must be held has a bound", file: "internal/protocol/postgres/answers.go",
		find: "if size > s.limits.Row() {", replace: "if false {",
		pkg: "./e2e", test: "TestMaskedRowsAreBounded",
	},
	{
		check: "mask: nothing leaves of a result that was cut", file: "internal/protocol/postgres/answers.go",
		find: "if r.over != nil {\n\t\t\treturn s.be.Copy", replace: "if false {\n\t\t\treturn s.be.Copy",
		pkg: "./e2e", test: "TestMaskedRowsAreBounded",
	},
	{
		check: "record: a digest of what must not show is a token", file: "internal/gate/ask.go",
		find: "if h == nil || h.tokens || g.masks != nil && len(g.masks.Detect()) > 0 {", replace: "if false {",
		pkg: "./e2e", test: "TestRowsOfACopyAreOnRecord",
	},
	{
		check: "record: the rows of a copy are digested", file: "internal/protocol/postgres/copy.go",
		find: "_, _ = r.sum.Write(in.Unread()[head:size])", replace: "",
		pkg: "./e2e", test: "TestRowsOfACopyAreOnRecord",
	},
	{
		check: "guardrail: OR REPLACE is an action of its own", file: "internal/sql/pgsql/beside.go",
		find: "if p.name == Prefix+w.an.Verb {", replace: "if false {",
		pkg: "./e2e/bypass", test: "TestGuardrails",
	},
	{
		check: "guardrail: so is another owner", file: "internal/sql/pgsql/beside.go",
		find: "w.act(verbOwner, table, nil)", replace: "",
		pkg: "./e2e/bypass", test: "TestGuardrails",
	},
	{
		check: "deny: it follows the other names of what is written", file: "internal/policy/decide.go",
		find: "by, more, denied := r.forbid(f)", replace: "by, more, denied := (*bound)(nil), reads(0), false",
		pkg: "./e2e", test: "TestWritesByAnotherName",
	},
	{
		check: "condition: what is not known of a request has no value", file: "internal/policy/facts.go",
		find: "return types.String(r.Method), r.Method != \"\"", replace: "return types.String(r.Method), true",
		pkg: "./internal/policy", test: "TestRequestConditions",
	},
	{
		check: "condition: a name that is twice in a body has no value", file: "internal/access/json.go",
		find: "key := foldName(name); folded[key] {", replace: "key := foldName(name); false {",
		pkg: "./internal/access", test: "TestReadJSONRefuses",
	},
	{
		check: "approval: its body is held for the reviewer", file: "cmd/gatehouse/adapt.go",
		find: "r.Needs(st)&policy.NeedsBody != 0 || r.MayHold(st)", replace: "r.Needs(st)&policy.NeedsBody != 0",
		pkg: "./cmd/gatehouse", test: "TestMasksInsideDocumentsReachTheGate",
	},
	{
		check: "mask: it binds the documents of its resources", file: "internal/policy/masks.go",
		find: "d.all || binds(d.resources, resource)", replace: "d.all || false && binds(d.resources, resource)",
		pkg: "./internal/policy", test: "TestDocumentMasks",
	},
	{
		check: "set: a deny binds where any of it is meant", file: "internal/policy/rules.go",
		find: "if a.Wild && meetsAny(b.resources, a.Resource) {", replace: "if false {",
		pkg: "./internal/policy", test: "TestSetsAreDecidedAsAWhole",
	},
	{
		check: "set: a mask binds where any of it is meant", file: "internal/policy/masks.go",
		find: "if s.sets && strings.IndexByte(resource, '*') >= 0 {", replace: "if false {",
		pkg: "./internal/policy", test: "TestMasksOfSets",
	},
	{
		check: "condition: what is not known of a message has no value", file: "internal/policy/facts.go",
		find: "return types.String(m.RoutingKey), m.Exchange != \"\"", replace: "return types.String(m.RoutingKey), true",
		pkg: "./internal/policy", test: "TestMessageConditions",
	},
	{
		check: "recording: one statement that wants each is enough", file: "internal/policy/recording.go",
		find: "if a.Each || b.Each {", replace: "if a.Each && b.Each {",
		pkg: "./internal/policy", test: "TestRecordingsMergeToTheStrictest",
	},
	{
		check: "mask: it binds the other way too", file: "internal/policy/masking.go",
		find: "access.ToClient: s.doc.In != inRequest, access.ToBackend: true", replace: "access.ToClient: s.doc.In != inRequest, access.ToBackend: s.doc.In == inRequest",
		pkg: "./internal/policy", test: "TestDocumentMasks",
	},
	{
		check: "resource: one without a connection is of its own type", file: "internal/policy/rules.go",
		find: "return p.rootless && !r.connection.kind.reaches(p)", replace: "return false",
		pkg: "./internal/policy", test: "TestResourcesWithoutConnection",
	},
	{
		check: "role: nobody reaches a closed connection", file: "internal/policy/compile.go",
		find: "for name := range s.closed {", replace: "for name := range map[string]string{} {",
		pkg: "./internal/policy", test: "TestClosedConnections",
	},
	{
		check: "deny: a name that is gone closes its connection", file: "internal/policy/vocabulary.go",
		find: "c.closed[connection] == \"\" {", replace: "false {",
		pkg: "./internal/policy", test: "TestClosedConnections",
	},
	{
		check: "approval: an open transaction does not wait", file: "internal/gate/within.go",
		find: "if !r.Within {\n\t\treturn true", replace: "if true {\n\t\treturn true",
		pkg: "./internal/gate", test: "TestTransactionsAreNotHeld",
	},
	{
		check: "approval: it is waited for", file: "internal/gate/ask.go",
		find: "if approval, v, err = g.hold(ctx, h, r, v); err != nil {", replace: "if v.Effect = access.Allow; err != nil {",
		pkg: "./e2e", test: "TestApprovalIsForOneThing",
	},
	{
		check: "approval: decided again after the wait", file: "internal/gate/hold.go",
		find: "if v.Effect == access.Deny {\n\t\treturn \"\", v, nil", replace: "if false {\n\t\treturn \"\", v, nil",
		pkg: "./e2e", test: "TestDecidedAgainAfterTheWait",
	},
	{
		check: "approval: nobody answers their own", file: "internal/approval/answer.go",
		find: "if a.Principal == \"\" || reviewer.ID() == a.Principal {", replace: "if false {",
		pkg: "./internal/approval", test: "TestNobodyApprovesTheirOwn",
	},
	{
		check: "approval: people answer, workloads do not", file: "internal/approval/answer.go",
		find: "if reviewer == nil || reviewer.Kind != access.Person && reviewer.Kind != access.Operator {", replace: "if false {",
		pkg: "./internal/approval", test: "TestNobodyApprovesTheirOwn",
	},
	{
		check: "approval: its digest", file: "internal/approval/answer.go",
		find: "sameDigest&samePrincipal != 1", replace: "samePrincipal != 1 && sameDigest == 0",
		pkg: "./internal/approval", test: "TestSpendForSomethingElse",
	},
	{
		check: "record: the intent is on record before the bytes leave", file: "internal/gate/send.go",
		find: "if b.seq > 0 {", replace: "if false {",
		pkg: "./internal/protocol/postgres", test: "TestConformance",
	},
	{
		check: "mask: hidden columns are hidden", file: "internal/protocol/postgres/rows.go",
		find: "if c.hidden {\n\t\tout, null = s.hide(dst, c, v)", replace: "if false {\n\t\tout, null = s.hide(dst, c, v)",
		pkg: "./e2e", test: "TestPsql",
	},
	{
		check: "mask: whether a value is there is hidden with it", file: "internal/protocol/postgres/rows.go",
		find: "if absent && (!c.hidden || c.mask.Strategy != access.MaskRedact) {", replace: "if absent {",
		pkg: "./e2e/bypass", test: "TestMasking",
	},
	{
		check: "mask: what an unknown function returns steers nothing", file: "internal/sql/pgsql/work.go",
		find: "an.TestsUnknown = w.called && w.steered", replace: "an.TestsUnknown = false",
		pkg: "./e2e/bypass", test: "TestMasking",
	},
	{
		check: "bound: a condition that cannot restrict is none", file: "internal/sql/pgsql/dml.go",
		find: "w.an.Bounded = w.an.Bounded && bool(w.narrowing(it, with, from...).restricts(where))", replace: "w.an.Bounded = w.an.Bounded && where != nil",
		pkg: "./e2e", test: "TestApprovalIsForOneThing",
	},
	{
		check: "state: it is read again after the implicit transaction of a pipeline", file: "internal/protocol/postgres/names.go",
		find: "if s.unsettled { // SET LOCAL", replace: "if false { // SET LOCAL",
		pkg: "./e2e", test: "TestAttackOnPipelineEnd",
	},
	{
		check: "names: a temporary table that hides a stored one is not known", file: "internal/sql/pgsql/catalogue.go",
		find: "return c.shadowing(s, at, name)", replace: "return c.temporary(s, at, name)",
		pkg: "./e2e", test: "TestTemporaryTables",
	},
	{
		check: "mask: a temporary table's values steer nothing", file: "internal/protocol/postgres/understand.go",
		find: "if u.a.TestsTemporary {", replace: "if false {",
		pkg: "./e2e", test: "TestTemporaryTables",
	},
	{
		check: "pool: another's backend is reset", file: "internal/protocol/postgres/lease.go",
		find: "case other || from != \"\" && !s.sharing:", replace: "case other && !s.sharing:",
		pkg: "./e2e", test: "TestTextsStayWithTheirOwner",
	},
	{
		check: "pool: what a transaction left is looked for", file: "internal/protocol/postgres/lease.go",
		find: "if err != nil || left.Objects(s.m.who) {", replace: "if err != nil {",
		pkg: "./e2e", test: "TestLeftovers",
	},
	{
		check: "pool: names of settings stay with their owner", file: "internal/protocol/postgres/lease.go",
		find: "if other && s.m.marked {", replace: "if false {",
		pkg: "./e2e", test: "TestLeftovers",
	},
	{
		check: "names: a prepared statement means what it meant", file: "internal/protocol/postgres/meaning.go",
		find: "case i >= 0 && !slices.EqualFunc", replace: "case false && !slices.EqualFunc",
		pkg: "./e2e", test: "TestAttackOnPreparedNames",
	},
	{
		check: "requests: a refused token ends one", file: "internal/session/requests.go",
		find: "if err != nil {\n\t\treturn q.s.refused(v, q.p, claim, err)", replace: "if err != nil {\n\t\tprincipal, err = &access.Principal{Issuer: \"x\", Subject: \"fn\", Expires: q.s.o.Gate.Clock().Add(time.Hour)}, nil\n\t}\n\tif err != nil {\n\t\treturn q.s.refused(v, q.p, claim, err)",
		pkg: "./internal/protocol/http", test: "TestConformance",
	},
	{
		check: "requests: a token stays with the gateway", file: "internal/wire/exchange/claim.go",
		find: "token = strings.TrimSpace(token)\n\t\tForget(r, token)", replace: "token = strings.TrimSpace(token)",
		pkg: "./internal/wire/exchange", test: "TestBearer",
	},
	{
		check: "requests: a host that the document names", file: "internal/gate/exchange.go",
		find: "if err := x.named.target(x.conn, out.URL); err != nil {\n\t\treturn Permit{},", replace: "if err := error(nil); err != nil {\n\t\treturn Permit{},",
		pkg: "./internal/gate", test: "TestExchangeRefuses",
	},
	{
		check: "requests: nothing is sent without a permit of its own", file: "internal/gate/exchange.go",
		find: "if s == nil || s.stage != minted || s.own || p != x.permit || x.judged == nil {", replace: "if s == nil || x.judged == nil {",
		pkg: "./internal/gate", test: "TestExchangeRefuses",
	},
	{
		check: "requests: nothing is sent before its record", file: "internal/gate/exchange.go",
		find: "if err := x.svc.Recorder.Barrier(s.seq); err != nil {\n\t\treturn nil, err\n\t}\n\ts.stage", replace: "s.stage",
		pkg: "./internal/gate", test: "TestExchangeRefuses",
	},
	{
		check: "requests: what is permitted is so when it is sent", file: "internal/gate/exchange.go",
		find: "if err := x.stillPermitted(s); err != nil {", replace: "if err := error(nil); err != nil {",
		pkg: "./internal/gate", test: "TestExchangeRefuses",
	},
	{
		check: "requests: masked answers are not passed as they are", file: "internal/gate/exchange.go",
		find: "if x.Masked(p) {\n\t\treturn 0, errPermit", replace: "if false {\n\t\treturn 0, errPermit",
		pkg: "./internal/gate", test: "TestExchangeMasked",
	},
	{
		check: "requests: an approval runs once", file: "internal/gate/hold.go",
		find: "if err := g.svc.Approvals.Spend(ctx, a.ID, digest, g.caller.Principal.ID()); err != nil {", replace: "if err := error(nil); err != nil {",
		pkg: "./internal/gate", test: "TestComeBack",
	},
	{
		check: "requests: an approval is for one body", file: "internal/gate/hold.go",
		find: "text += \"\\x00\" + string(r.Exact)", replace: "text += \"\\x00\"",
		pkg: "./internal/gate", test: "TestComeBackWithAnotherBody",
	},
	{
		check: "requests: no approval is for a body that nobody saw", file: "internal/gate/hold.go",
		find: "if r.Unseen {", replace: "if false {",
		pkg: "./e2e/web", test: "TestApprovalIsForABody",
	},
	{
		check: "paths: an encoded slash", file: "internal/protocol/http/path.go",
		find: "case r == '/':\n\t\treturn \"an encoded slash\"", replace: "case r == 0:\n\t\treturn \"an encoded slash\"",
		pkg: "./internal/protocol/http", test: "TestAttackByPath",
	},
	{
		check: "requests: the rest of a body is nobody's request", file: "internal/session/requests.go",
		find: "a.upload.part(a.Header())", replace: "_ = a.upload",
		pkg: "./e2e/web", test: "TestRestOfABody",
	},
	{
		check: "credentials: none in parts", file: "internal/protocol/http/relay.go",
		find: "out.Header.Del(\"Range\") ", replace: "_ = out.Header ",
		pkg: "./e2e/web", test: "TestCredentialInParts",
	},
	{
		check: "credentials: what an answer's body repeats", file: "internal/protocol/http/answer.go",
		find: "resp.Body = v.scrubbed.Of(v.echo, resp.Body, v.p.buffers)\n", replace: "",
		pkg: "./e2e/web", test: "TestNoEcho",
	},
	{
		check: "masks: fields of an answer", file: "internal/protocol/http/relay.go",
		find: "return masks.Document(v.hides(), access.ToClient)", replace: "return access.DocumentMasks{}",
		pkg: "./e2e/web", test: "TestMasksOfAnswers",
	},
	{
		check: "masks: headers of an answer", file: "internal/protocol/http/answer.go",
		find: "hits = hidden.Headers(h)\n", replace: "",
		pkg: "./e2e/web", test: "TestMasksOfAnswers",
	},
	{
		check: "masks: messages of a WebSocket", file: "internal/protocol/http/websocket.go",
		find: "hidden, hits, err := to.hide.Message(nil, m.Payload)", replace: "hidden, hits, err := m.Payload, int64(0), error(nil)",
		pkg: "./e2e/web", test: "TestSocketHidden",
	},
	{
		check: "messages of a WebSocket: policies that change", file: "internal/protocol/http/websocket.go",
		find: "if err := s.turned.Still(); err != nil {\n\t\ts.fail(err)", replace: "if err := error(nil); err != nil {\n\t\ts.fail(err)",
		pkg: "./e2e/web", test: "TestPoliciesEndSilentSockets",
	},
	{
		check: "masks: messages of gRPC", file: "internal/protocol/http/call.go",
		find: "return v.call.hider.Hide(m, v.call.method.Output())", replace: "return m, nil",
		pkg: "./e2e/web", test: "TestCallHidden",
	},
	{
		check: "gRPC: its form for browsers", file: "internal/protocol/http/call.go",
		find: "case strings.HasPrefix(media, \"application/grpc-web\"):", replace: "case false:",
		pkg: "./e2e/web", test: "TestCallRefused",
	},
	{
		check: "calls: they are signed again", file: "internal/protocol/aws/sign.go",
		find: "return v.p.sign(ctx, r, *keys, digest, service, region)", replace: "_ = region\n\t\treturn nil",
		pkg: "./internal/protocol/aws", test: "TestConformance",
	},
	{
		check: "calls: dot segments in a path", file: "internal/protocol/aws/route.go",
		find: "if part == \".\" || part == \"..\" {", replace: "if part == \"/\" {",
		pkg: "./internal/protocol/aws", test: "TestWhatIsReadTwoWaysIsRefused",
	},
	{
		check: "calls: a parameter stands once", file: "internal/protocol/aws/decode.go",
		find: "if _, twice := m[name]; twice {", replace: "if false {",
		pkg: "./internal/protocol/aws", test: "TestWhatIsReadTwoWaysIsRefused",
	},
	{
		check: "calls: a query holds what the operation knows", file: "internal/protocol/aws/route.go",
		find: "default:\n\t\t\treturn nil, 0, false\n\t\t}\n\t}\n\treturn labels, score, true", replace: "}\n\t}\n\treturn labels, score, true",
		pkg: "./internal/protocol/aws", test: "TestWhatIsReadTwoWaysIsRefused",
	},
	{
		check: "calls: a copy reads its source", file: "internal/protocol/aws/object.go",
		find: "if err := c.copied(source[0]); err != nil {", replace: "if err := error(nil); err != nil {",
		pkg: "./internal/protocol/aws", test: "TestCapturedRequests",
	},
	{
		check: "calls: a resource that no rule names", file: "internal/protocol/aws/arn.go",
		find: "if ok && (a.service == c.service.prefix || a.service == c.service.signing) &&", replace: "if ok && a.service == \"\" &&",
		pkg: "./internal/protocol/aws", test: "TestCallsByOtherWays",
	},
	{
		check: "calls: a region that the connection names", file: "internal/protocol/aws/understand.go",
		find: "if region != c.region && !slices.Contains(c.regions, region) {", replace: "if false {",
		pkg: "./internal/protocol/aws", test: "TestWhatIsReadTwoWaysIsRefused",
	},
	{
		check: "frames: a body ends with its last frame", file: "internal/protocol/aws/frames.go",
		find: "return errFrames // also where nothing follows", replace: "return err // also where nothing follows",
		pkg: "./internal/protocol/aws", test: "TestAttackByFrames",
	},
	{
		check: "frames: the trailer's checksum", file: "internal/protocol/aws/frames.go",
		find: "if f.trailer != \"\" && f.value != base64.StdEncoding.EncodeToString(f.sum.Sum(nil)) {", replace: "if false {",
		pkg: "./internal/protocol/aws", test: "TestAttackByFrames",
	},
	{
		check: "calls: headers that were not judged", file: "internal/protocol/aws/outgoing.go",
		find: "if signs(lower) || lower == \"content-length\"", replace: "if lower == \"content-length\"",
		pkg: "./internal/protocol/aws", test: "TestWhatIsForwarded",
	},
	{
		check: "masks: attributes that conditions read", file: "internal/protocol/aws/masks.go",
		find: "if any || slices.ContainsFunc(hides,", replace: "if any && slices.ContainsFunc(hides,",
		pkg: "./internal/protocol/aws", test: "TestAttacksOnMaskedItems",
	},
	{
		check: "masks: parts of an object", file: "internal/protocol/aws/masks.go",
		find: "return c.steeredObject()", replace: "return nil",
		pkg: "./internal/protocol/aws", test: "TestAttacksOnMaskedObjects",
	},
	{
		check: "credentials: what an answer repeats", file: "internal/protocol/aws/answer.go",
		find: "if err := v.scrub(resp); err != nil {", replace: "if err := error(nil); err != nil {",
		pkg: "./internal/protocol/aws", test: "TestConformance",
	},
	{
		check: "export: sessions of other roles are not the role's", file: "internal/insight/collect.go",
		find: "if !slices.Contains(e.Roles, c.q.Role) ||", replace: "if len(e.Roles) == 0 && !slices.Contains(e.Roles, c.q.Role) ||",
		pkg: "./internal/insight", test: "TestCollector",
	},
	{
		check: "export: what was refused is not granted", file: "internal/insight/collect.go",
		find: "if e.Kind == access.EventActionIntended {\n\t\t\treturn", replace: "if true {\n\t\t\treturn",
		pkg: "./internal/insight", test: "TestCollector",
	},
	{
		check: "import: wildcards inside of an ARN stop at colons", file: "internal/protocol/aws/import_resource.go",
		find: "return pattern, in.narrow(parts)", replace: "return pattern, \"\"",
		pkg: "./internal/protocol/aws", test: "TestImportIAM",
	},
	{
		check: "import: a deny applies where a key is not known", file: "internal/protocol/aws/import_condition.go",
		find: "case holds:\n\t\treturn expression\n\tcase c.key.unsure:", replace: "case c.key.unsure:",
		pkg: "./internal/protocol/aws", test: "TestImportIAM",
	},
	{
		check: "mask: the quick reader of JSON knows what it may not show", file: "internal/mask/body/jsonrun.go",
		find: "(j.cover != nil || j.seek) && !j.plainHidden", replace: "j.seek && !j.plainHidden",
		pkg: "./internal/mask/body", test: "TestQuickReader",
	},
	{
		check: "mask: the quick reader of JSON refuses what the other one refuses", file: "internal/mask/body/jsonrun.go",
		find: "ok = c == top.closing", replace: "ok = c == ']' || c == '}'",
		pkg: "./internal/mask/body", test: "TestQuickReader",
	},
	{
		check: "mask: the form of an answer is not the client's to choose", file: "internal/protocol/http/relay.go",
		find: "if len(answer.Paths) > 0 && !v.saysAccept() {", replace: "if false {",
		pkg: "./e2e/web", test: "TestClientsDoNotChooseTheForm",
	},
	{
		check: "mask: what is called a picture begins as one", file: "internal/wire/exchange/kind.go",
		find: "len(begins) > 0 && !body.Begun(begins, class)", replace: "len(begins) > 0 && false",
		pkg: "./e2e/web", test: "TestOddAnswers",
	},
	{
		check: "messages: what is called a text is UTF-8", file: "internal/wire/message/hidden.go",
		find: "kind != body.JSON && !utf8.Valid(b)", replace: "false",
		pkg: "./internal/wire/message", test: "TestUnreadable",
	},
	{
		check: "messages: what has no type is text in every byte", file: "internal/wire/message/hidden.go",
		find: "|| bytes.ContainsFunc(b, unprintable)", replace: "|| false && bytes.ContainsFunc(b, unprintable)",
		pkg: "./internal/wire/message", test: "TestUnreadable",
	},
	{
		check: "messages: headers that tell what is hidden in a body", file: "internal/wire/message/field.go",
		find: "return h.Bodies() && body.Tells(name)", replace: "return false && body.Tells(name)",
		pkg: "./internal/wire/message", test: "TestBeside",
	},
	{
		check: "mask: digests behind a body are dropped", file: "internal/protocol/http/answer.go",
		find: "\t\texchange.Untell(h)\n\t\tv.echo.Header(h)", replace: "\t\tv.echo.Header(h)",
		pkg: "./e2e/web", test: "TestTrailersOfMaskedAnswers",
	},
	{
		check: "mask: one that would hide nothing is an error", file: "internal/policy/compile.go",
		find: "c.checkInside(s, d)\n", replace: "",
		pkg: "./internal/policy", test: "TestMasksThatHideNothing",
	},
	{
		check: "method: a body that is sent as it comes does not change it", file: "internal/protocol/http/relay.go",
		find: "if err := v.watchMethod(&out); err != nil {", replace: "if err := error(nil); err != nil {",
		pkg: "./e2e/web", test: "TestMethodInStreamedBodies",
	},
}
