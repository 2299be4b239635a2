package postgres

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/sql/pgsql"
)

// A session leases a backend when it first needs one. In session mode it keeps it to its end; in transaction mode it gives
// it back whenever no transaction is open. A backend goes from one principal to another only through a verified reset.

// memo is what the gateway remembers of a backend from one lease to the next.
type memo struct {
	pid     uint32
	secret  []byte
	params  map[string]string // as the server reports them
	applied string            // the digest of the settings that were set on it
	raw     []byte            // the state that statements are judged in, under those settings and nothing else; nil: not known
	at      time.Time         // when raw was read
	names   heldNames

	who    pgsql.Identity // as whom it was logged in to; zero until something asked
	marked bool           // the names of settings of its owner's own stay on it, empty, whatever is reset
	user   uint64         // the session that used it last
	used   bool           // a sequence may have answered, which lastval and currval tell
	ran    bool           // code ran that may have left what cannot be seen: hidden settings, the seed of random
}

// unknownSettings stands for the settings of a backend on which something may be set that cannot be seen.
const unknownSettings = "?"

// lent is a session's part in the sharing of backends.
type lent struct {
	sharing  bool     // a backend is leased for each transaction
	base     settings // what the client asked for when it connected, and what it may not change
	settings settings // what a backend of this session is set to, when it is leased
	want     string   // the digest of settings
	under    string   // see readingAs
	owed     settings // what a RESET took away, and must be set again before the next statement
	quietly  bool     // the statement under way is such a RESET: the client is told when all is said and done
	told     settings // the parameters, as the client knows them
	m        *memo    // of the leased backend; nil where there is none
	leases   uint64   // numbers them, from 1
	number   uint64   // of the session
	kept     bool     // something of the session is on the backend: it stays leased to the session's end
	dirty    bool     // something ran since the lease that may have left something
	tainted  bool     // something ran that no reset takes away
	aim      aim
}

// owner is whose state the session leaves on a backend that it gives back without a reset.
func (s *session) owner() string { return s.g.Caller().Principal.ID() }

// lease gets a backend that is clean of what others left, with the session's settings on it. A pooled one that turns out to
// be broken is replaced.
func (s *session) lease(ctx context.Context) error {
	if err := s.g.Refresh(); err != nil { // the connection's document may have changed
		return err
	}
	for {
		in, fresh := loggingIn(s.g.Connection().Name, nil)
		b, err := s.g.Lease().Take(ctx, s.owner(), in)
		if err != nil {
			return err
		}
		pooled := b.Memo != nil
		if !pooled {
			b.Memo = fresh
		}
		s.attach(b)
		if err = s.moveIn(ctx, b.Owner()); err == nil {
			return nil
		}
		if fault.KindOf(err) == fault.Malformed { // what the client asks for is at fault, not the backend
			s.m.applied = unknownSettings
			s.giveBack(s.owner())
			return err
		}
		s.hangUp()
		if !pooled || ctx.Err() != nil {
			return err
		}
	}
}

func (s *session) attach(b *gate.Backend) {
	s.g.Attach(b)
	s.be, s.m = b.Reader, b.Memo.(*memo)
	s.leases++
	s.dirty, s.kept = false, false
	s.aim.set(&target{lease: s.g.Lease(), pid: s.m.pid, secret: s.m.secret})
	s.state.learn(s.m.params)
}

// moveIn makes a backend the session's own: cleared of what another left, set as the session needs it.
func (s *session) moveIn(ctx context.Context, from string) error {
	other := from != "" && from != s.owner()
	if other && s.m.marked {
		return errMarked
	}
	var err error
	switch {
	case other || from != "" && !s.sharing:
		err = s.reset(ctx)
	case s.m.user != s.number:
		err = s.tidy(ctx)
	}
	if err != nil {
		return err
	}
	s.m.user = s.number
	if err := s.apply(ctx); err != nil {
		return err
	}
	if age := s.g.Now().Sub(s.m.at); s.m.raw != nil && age >= 0 && age < maxAge {
		if err := s.takeState(s.m.raw); err != nil {
			return err
		}
	} else {
		s.state.known = false
	}
	s.tell()
	return nil
}

var errMarked = fault.New(fault.Backend, "postgres.moveIn", "the backend still knows another principal's names of settings")

// tidy takes away what another session of the same principal may have left unseen.
func (s *session) tidy(ctx context.Context) error {
	if s.m.used || s.m.ran {
		if _, err := s.own(ctx, ownSequences, msgSync); err != nil {
			return err
		}
		s.m.used = false
	}
	return s.reseed(ctx)
}

// reseed gives random() a new seed, where code ran that may have set one: another could tell what comes next.
func (s *session) reseed(ctx context.Context) error {
	if !s.m.ran {
		return nil
	}
	seed, err := s.p.seed()
	if err == nil {
		_, err = s.ownBound(ctx, ownSeed, appendBindText(appendParse(nil, ownName, seedText), ownName, ownName, seed), msgSync)
	}
	s.m.ran = err != nil
	return err
}

// detach ends the lease and returns the backend; nil where an answer is due.
func (s *session) detach() *gate.Backend {
	s.aim.clear()
	b := s.g.Detach()
	if b != nil {
		s.be, s.m = nil, nil
	}
	return b
}

// hangUp ends the lease by closing the backend.
func (s *session) hangUp() {
	if b := s.detach(); b != nil {
		_ = b.Close()
	}
}

// giveBack ends the lease; owner is whose state the backend may hold.
func (s *session) giveBack(owner string) {
	if s.aim.lost() { // a cancel may still be on its way to it
		s.hangUp()
		return
	}
	if b := s.detach(); b != nil {
		b.Give(owner)
	}
}

// needBackend gets a backend for a message that needs one. It answers messages that need none where none is leased: nothing
// is pending then. done says that the message is dealt with.
func (s *session) needBackend(ctx context.Context, f frame) (done bool, err error) {
	switch f.kind {
	case msgQuery, msgParse, msgBind, msgDescribe, msgExecute, msgClose:
	case msgSync:
		if s.skipping {
			return false, nil
		}
		s.out = appendReady(s.out, s.state.tx)
		return true, s.send()
	case msgFlush:
		return true, nil
	default:
		return false, nil
	}
	if err = s.lease(ctx); err == nil {
		return false, nil
	}
	if s.fatal(ctx, err) {
		return true, err
	}
	err = s.g.RefuseText(err, len(f.body))
	if f.kind == msgQuery {
		return true, s.refuseQuery(ctx, err)
	}
	return true, s.refuseExtended(ctx, err)
}

// resting reports whether nothing of the session is under way on its backend, nor in a transaction there.
func (s *session) resting() bool {
	return s.be != nil && s.state.tx == txIdle && s.synced && len(s.queue) == s.head && s.g.Staged() == 0 && !s.copying && len(s.be.Unread()) == 0
}

// between gives the backend back between two transactions, where nothing of the session depends on it.
func (s *session) between(ctx context.Context) error {
	if cap(s.out) > 64<<10 {
		s.out = nil
	}
	if !s.sharing || s.kept || !s.resting() {
		return nil
	}
	if s.dirty || s.tainted {
		portable, err := s.takeStock(ctx)
		if err != nil {
			return err
		}
		if !portable {
			return s.keep()
		}
	}
	s.giveBack(s.owner())
	return nil
}

// takeStock looks at what the session left on its backend. Settings that are known to be harmless to carry move with the
// session; with anything else the session stays.
func (s *session) takeStock(ctx context.Context) (portable bool, err error) {
	if s.tainted {
		return false, nil
	}
	left, err := s.leftovers(ctx)
	if err != nil || left.Objects(s.m.who) {
		return false, err
	}
	now := settings{}
	for name, value := range left.Settings {
		name = lower(name)
		if _, own := s.base[name]; !own && !replayed(name) {
			return false, nil
		}
		now[name] = value
	}
	if own := lower(s.g.Connection().Propagate); strings.Contains(own, ".") { // the server does not list it
		now[own] = s.base[own]
	}
	s.m.applied, s.m.raw, s.dirty = now.digest(), nil, false
	if s.m.ran || s.owed != nil { // a setting of the gateway's own may be gone, and would not be listed
		s.m.applied = unknownSettings
	}
	if s.m.ran {
		s.m.names.keep(left.Held)
	}
	maps.Copy(now, s.owed)
	s.owed, s.quietly = nil, false
	s.use(now)
	return true, nil
}

func (s *session) leftovers(ctx context.Context) (pgsql.Leftovers, error) {
	text, err := s.own(ctx, ownLeftovers, msgSync)
	s.heard()
	if err != nil {
		return pgsql.Leftovers{}, err
	}
	return pgsql.ParseLeftovers(text)
}

// keep makes the backend the session's to its end.
func (s *session) keep() error {
	if s.g.Connection().Pool.Pin == "refuse" || !s.g.Pin() {
		return errKept
	}
	s.kept = true
	return nil
}

var errKept = sayCode("53400", fault.Unavailable, "the session left something on its backend, which other sessions share",
	"Temporary tables, LISTEN, PREPARE, cursors WITH HOLD and advisory locks of a session need a connection with pool.mode: session, or with pool.pin: allow and room in pool.max_pinned.")

// stays looks at a statement that would leave something on the backend, before it runs: the session then keeps the backend,
// where the connection has room for that.
func (s *session) stays(a *pgsql.Analysis) error {
	if !s.sharing || s.kept || !leaves(a) && !s.taints(a) {
		return nil
	}
	return s.keep()
}

// leaves reports whether a statement is known to leave something on its backend that cannot be carried to another.
func leaves(a *pgsql.Analysis) bool {
	if a.Listen != "" || a.Prepare != nil || a.Cursor != nil && a.Cursor.Hold {
		return true
	}
	for i := range a.Actions {
		if a.Actions[i].Name == pgsql.Prefix+"AdvisoryLock" {
			return true
		}
	}
	if slices.ContainsFunc(a.SetToStay, func(name string) bool { return !replayed(name) }) {
		return true
	}
	return a.Set != nil && a.Set.Kind == pgsql.SetValue && !a.Set.Local && !replayed(a.Set.Name) && !perTransaction(a.Set.Name)
}

// perTransaction reports whether a SET of a name ends with its transaction, or is one of several settings.
func perTransaction(name string) bool {
	return name == "transaction" || name == "TRANSACTION" || name == "SESSION_CHARACTERISTICS"
}

// watch notes what a statement that is about to be sent may leave on the backend.
func (s *session) watch(u *understood) {
	a := u.a
	s.mark(a)
	if a.Set != nil {
		s.dirty = s.dirty || a.Set.Kind != pgsql.SetShow
		s.quietly = a.Set.Kind == pgsql.SetReset || a.Set.Kind == pgsql.SetDiscard || a.Set.Kind == pgsql.SetValue && a.Set.Value == nil
		return
	}
	s.quietly = false
	if a.Tx != pgsql.TxNone {
		return
	}
	s.dirty = s.dirty || a.ChangesState || a.ChangesCatalogue || changesNames(a)
	s.tainted = s.tainted || s.taints(a)
}

// taints reports whether a statement may leave what no reset takes away.
func (s *session) taints(a *pgsql.Analysis) bool {
	return a.Foreign || a.ChangesState && (opaque(a) || a.Set == nil && a.Tx == pgsql.TxNone && s.cat.Hazards())
}

// mark notes on the backend what a statement may leave there that cannot be seen.
func (s *session) mark(a *pgsql.Analysis) {
	if s.m == nil {
		return
	}
	own := lower(s.g.Connection().Propagate)
	marks := func(name string) bool { return name == "" || name != own && strings.Contains(name, ".") }
	s.m.marked = s.m.marked || slices.ContainsFunc(a.SetByCall, marks) || a.Set != nil && a.Set.Kind != pgsql.SetShow && marks(a.Set.Name)
	s.m.ran = s.m.ran || a.ChangesState && a.Set == nil && a.Tx == pgsql.TxNone && a.Listen == "" && a.Unlisten == nil
	for i := range a.Actions {
		switch a.Actions[i].Name {
		case pgsql.Prefix + "Insert", pgsql.Prefix + "UseSequence":
			s.m.used = true
		}
	}
}

// opaque reports whether a statement runs what is not known at all.
func opaque(a *pgsql.Analysis) bool {
	for i := range a.Actions {
		switch a.Actions[i].Name {
		case pgsql.Prefix + "Opaque", pgsql.Prefix + "Do", pgsql.Prefix + "Load":
			return true
		case pgsql.Prefix + "Call":
			if _, of, _ := strings.Cut(a.Actions[i].Resource, "/"); strings.HasPrefix(of, "pg_catalog.") {
				return true // a function of the server's own that is not known to be harmless, such as setseed
			}
		}
	}
	return false
}

// resetDue bounds how long a backend takes to be reset when its session has ended.
const resetDue = 5 * time.Second

// finish gives the backend back when the session ends, after a verified reset; where that is not possible the gate closes it.
func (s *session) finish(ctx context.Context) {
	if s.be == nil || s.tainted || ctx.Err() != nil || len(s.queue) != s.head || s.copying || s.since || len(s.be.Unread()) > 0 {
		return
	}
	s.g.Unstage()                      // a client that left before it said Sync
	if s.m.who == (pgsql.Identity{}) { // nothing was judged on it yet, so nothing ran
		s.giveBack("")
		return
	}
	ctx, done := context.WithTimeout(ctx, resetDue)
	defer done()
	defer context.AfterFunc(ctx, s.g.Interrupt)()
	if s.state.tx != txIdle {
		if _, err := s.own(ctx, ownRollback, msgSync); err != nil {
			return
		}
	}
	if s.sharing && !s.dirty && !s.kept {
		s.giveBack(s.owner())
	} else if s.reset(ctx) == nil {
		owner := ""
		if s.m.marked {
			owner = s.owner()
		}
		s.giveBack(owner)
	}
}

// reset makes a backend nobody's: everything that a session can leave is discarded, and looked for.
func (s *session) reset(ctx context.Context) error {
	s.unasked = func(kind byte, body []byte) error { // what the one before listened to is not for this one
		if kind == ansParameterStatus {
			s.hear(body)
		}
		return nil
	}
	defer func() { s.unasked = s.meanwhile }()
	if _, err := s.own(ctx, ownDiscard, msgSync); err != nil {
		return err
	}
	s.m.names.clear()
	if s.m.applied != "" || s.dirty {
		s.m.raw = nil
	}
	s.m.applied, s.m.used = "", false
	if err := s.reseed(ctx); err != nil {
		return err
	}
	left, err := s.leftovers(ctx)
	if err == nil && !left.Clean(s.m.who) {
		err = fault.New(fault.Backend, "postgres.reset", "a backend was not clean after its reset")
	}
	return err
}

// letGoWhileHeld gives the backend back while an action waits for a reviewer, outside of any transaction: others can use it.
func (s *session) letGoWhileHeld() {
	if s.be == nil || s.kept || s.dirty || s.tainted || s.since || s.state.tx != txIdle || len(s.be.Unread()) > 0 {
		return
	}
	for i := s.head; i < len(s.queue); i++ {
		if e := &s.queue[i]; e.kind != msgParse || e.own || e.stmt.name != "" {
			return // staged under names that only this backend knows
		}
	}
	if s.sharing || len(s.stmts) == 0 || len(s.stmts) == 1 && s.stmts[""] != nil && len(s.queue) > s.head {
		s.giveBack(s.owner())
	}
}

// leaseAgain gets a backend for what was held. It must read the statement as the one before did.
func (s *session) leaseAgain(ctx context.Context) error {
	if s.be != nil {
		return nil
	}
	version := s.state.version
	back := s.g.Shelve() // the backend may have to be made ready for it
	err := s.lease(ctx)
	if err == nil && !s.state.known {
		err = s.askState(ctx, msgSync)
	}
	back()
	if err != nil {
		return err
	}
	if s.state.version != version {
		return sayCode("40001", fault.Conflict, "the settings of the database changed while the statement was waiting", "Run it again.")
	}
	return nil
}
