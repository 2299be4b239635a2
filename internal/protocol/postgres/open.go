package postgres

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"gatehouse/internal/access"
	"gatehouse/internal/fault"
	"gatehouse/internal/gate"
	"gatehouse/internal/sql/pgsql"
)

// startupParams are the parameters that a client may set in its StartupMessage. Each is harmless to how text is read, or
// is looked at after login (search_path by the state probe, client_encoding by checkEncoding).
var startupParams = []string{
	"application_name", "client_encoding", "datestyle", "timezone", "intervalstyle", "extra_float_digits",
	"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "bytea_output", "search_path",
	"client_min_messages", "geqo", "default_transaction_isolation", "default_transaction_read_only",
}

// weightyParams are those of startupParams that need the permission to alter a setting; the others are as harmless as the
// settings that everybody may SET.
var weightyParams = []string{"search_path", "geqo", "default_transaction_isolation", "default_transaction_read_only"}

// refusedStartup refuses what would open another kind of session, or one whose statements could not be judged.
func refusedStartup(st *startup) error {
	seen := map[string]bool{}
	for _, p := range st.params {
		name, value := strings.ToLower(p[0]), p[1]
		if seen[name] {
			return sayCode("08P01", fault.Malformed, "the startup parameter \""+name+"\" is given twice", "")
		}
		seen[name] = true
		switch {
		case name == "user" || name == "database":
		case name == "replication":
			if !slices.Contains([]string{"", "0", "off", "false", "no"}, strings.ToLower(value)) {
				return sayCode("0A000", fault.Denied, "replication connections are refused: their messages are not statements that policy could judge", "")
			}
		case name == "options":
			if strings.TrimSpace(value) != "" {
				return sayCode("0A000", fault.Denied, "the startup parameter \"options\" is refused",
					"Set what you need with SET after connecting, or ask for it to be set for the backend's role.")
			}
		case name == "client_encoding" && !readableEncoding(value):
			return errEncoding(value)
		case !slices.Contains(startupParams, name):
			return sayCode("0A000", fault.Denied, "the startup parameter \""+p[0]+"\" is refused",
				"Set what you need with SET after connecting.")
		}
	}
	return nil
}

// readableEncoding reports whether text in a client encoding reads the same to the gateway's parser as to the server's.
func readableEncoding(v string) bool {
	v = strings.ToUpper(strings.NewReplacer("-", "", "_", "", "'", "", "\"", "").Replace(v))
	return v == "" || v == "UTF8" || v == "UNICODE" || v == "SQLASCII"
}

func errEncoding(v string) error {
	return sayCode("0A000", fault.Denied, "client_encoding "+strings.Map(printable, v)+" is refused: the gateway judges text in UTF8",
		"Set client_encoding to UTF8 (PGCLIENTENCODING=UTF8).")
}

func printable(r rune) rune {
	if r < 0x20 || r > 0x7e {
		return -1
	}
	return r
}

// runtimeParams is what of the client's StartupMessage goes to the backend.
func runtimeParams(st *startup) map[string]string {
	out := map[string]string{}
	for _, p := range st.params {
		if name := strings.ToLower(p[0]); slices.Contains(startupParams, name) {
			out[name] = p[1]
		}
	}
	return out
}

// loggingIn returns the login to a backend of a connection, with startup parameters, and what it will have learnt.
func loggingIn(connection string, params map[string]string) (gate.Login, *memo) {
	m := &memo{}
	return func(ctx context.Context, raw net.Conn, c gate.Credential) (net.Conn, error) {
		h, err := login(ctx, raw, c, params)
		if err != nil {
			return nil, backendRefused(connection, err)
		}
		m.pid, m.secret, m.params = h.PID, h.SecretKey, h.ParameterStatuses
		return h.Conn, nil
	}, m
}

// login lets pgconn speak the login. Everything that its configuration would take from the environment of the gateway's
// process (PGPASSWORD, service files and the like) is set here, so that nothing is taken.
func login(ctx context.Context, raw net.Conn, c gate.Credential, params map[string]string) (*pgconn.HijackedConn, error) {
	conf, err := pgconn.ParseConfig("host=127.0.0.1 port=5432 user=gatehouse dbname=gatehouse password=x sslmode=disable passfile=/dev/null")
	if err != nil {
		return nil, err
	}
	conf.Host, conf.User, conf.Password, conf.Database = raw.RemoteAddr().String(), c.User, string(c.Password.Reveal()), c.Database
	conf.TLSConfig, conf.Fallbacks, conf.RuntimeParams = nil, nil, params
	conf.SSLNegotiation, conf.SSLCertMode, conf.KerberosSrvName = "postgres", "allow", ""
	conf.RequireAuth = "scram-sha-256,md5,none" // a password in clear only travels inside TLS
	conf.MaxProtocolMessageBodyLen = maxLoginMessage
	conf.MinProtocolVersion, conf.MaxProtocolVersion = "3.0", "3.0"
	conf.ValidateConnect, conf.AfterConnect, conf.AfterNetConnect = nil, nil, nil
	conf.DialFunc = func(context.Context, string, string) (net.Conn, error) { return raw, nil }
	conf.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{"127.0.0.1"}, nil }
	if c.TLS != nil {
		conf.TLSConfig = c.TLS
		conf.RequireAuth += ",password"
	}
	return takeOver(ctx, conf)
}

const maxLoginMessage = 64 << 10

// backendRefused words a failed login to the backend for a client: that it failed, and where to look. The cause, which
// may name users and hosts, is for the log.
func backendRefused(connection string, err error) error {
	var pg *pgconn.PgError
	var unknown *tls.CertificateVerificationError
	e := &fault.Error{Op: "postgres.open", Kind: fault.Backend, Err: err,
		Say:  "the backend of connection " + connection + " cannot be logged in to",
		Hint: "Your administrator finds the cause with: gatehouse connections test " + connection}
	switch {
	case errors.As(err, &pg):
		e.Say = "the backend of connection " + connection + " refused the gateway's login (SQLSTATE " + pg.Code + ")"
	case errors.As(err, &unknown):
		e.Say = "the certificate of the backend of connection " + connection + " could not be verified"
	}
	return e
}

// Open implements wire.Session.
func (s *session) Open(ctx context.Context, g *gate.Gate) error {
	s.g = g
	s.link = link{g: g, unasked: s.meanwhile}
	s.sharing = g.Connection().Pool.Mode == "transaction"
	s.begin()
	settings, err := s.startupSettings(ctx)
	if err != nil {
		return err
	}
	params, err := s.greeting(ctx)
	if err != nil {
		return err
	}
	s.told = params
	s.state.learn(params)
	if err := s.state.checkEncoding(); err != nil {
		return err
	}
	if err := s.startupDone(settings); err != nil {
		return err
	}
	if s.key, err = s.p.cancels.add(s); err != nil {
		return err
	}
	if err := g.Show(welcome(params, s.key)); err != nil {
		s.p.cancels.remove(s.key)
		return err
	}
	return nil
}

// startupSettings asks for the settings of the StartupMessage as for a SET of each, and puts them on record before the
// login sends them. The zero permit means that there are none.
func (s *session) startupSettings(ctx context.Context) (gate.Permit, error) {
	params := runtimeParams(s.startup)
	if len(params) == 0 {
		return gate.Permit{}, nil
	}
	st := access.Statement{Bounded: true}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		verb := "SetConfig"
		if slices.Contains(weightyParams, name) {
			verb = "AlterSetting"
		}
		st.Text += "SET " + name + " = '"
		at := len(st.Text)
		st.Text += params[name]
		st.Literals = append(st.Literals, access.Span{Start: at, End: len(st.Text)})
		st.Text += "'; "
		st.Normal += "SET " + name + "; "
		st.Actions = append(st.Actions, access.Action{Name: pgsql.Prefix + verb, Resource: access.Resource(s.g.Connection().Name)})
	}
	permit, err := s.g.Ask(ctx, s.g.Judge(&st), gate.Request{})
	if err != nil {
		return permit, err
	}
	return permit, s.g.Commit(permit)
}

// startupDone puts on record that the login took the settings.
func (s *session) startupDone(p gate.Permit) error {
	if p.Zero() {
		return nil
	}
	return s.g.Done(p, gate.Outcome{Status: access.StatusOK})
}

// welcome is AuthenticationOk, the server's parameters, the gateway's own cancel key, and ReadyForQuery.
func welcome(params map[string]string, key cancelKey) []byte {
	out := []byte{ansAuthentication, 0, 0, 0, 8, 0, 0, 0, 0}
	names := make([]string, 0, len(params))
	for n := range params {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int { // as the server sorts its settings: pgconn does not keep the order
		return cmp.Compare(strings.ToLower(a), strings.ToLower(b))
	})
	for _, n := range names {
		out = appendParameter(out, n, params[n])
	}
	out = appendFrame(out, ansKeyData, key[:])
	return appendReady(out, txIdle)
}

// testLogin logs in and out again, for `connections test`.
func testLogin(ctx context.Context, l gate.Lease) error {
	in, _ := loggingIn(l.Connection().Name, map[string]string{"application_name": "gatehouse"})
	b, err := l.Open(ctx, in)
	if err != nil {
		return err
	}
	return b.Close()
}
