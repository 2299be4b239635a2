package regress

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Suite is a folder of scripts: sql/*.sql, their data, and the order in which they run. The scripts of the prelude run
// first, and leave a database that every other script starts from.
type Suite struct {
	Dir     string
	Prelude []string
	Files   []string
}

// setup and prelude are the scripts that others build on, as the suite's own schedule says.
const (
	setup   = "test_setup"
	prelude = "create_misc create_operator create_type create_index create_aggregate create_view rangetypes"
)

// Open reads a suite.
func Open(dir string) (*Suite, error) {
	s := &Suite{Dir: dir}
	for name := range strings.FieldsSeq(prelude) {
		if _, err := os.Stat(s.path(name)); err == nil {
			s.Prelude = append(s.Prelude, name)
		}
	}
	schedule, err := os.ReadFile(filepath.Join(dir, "parallel_schedule"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(schedule)) {
		if names, ok := strings.CutPrefix(line, "test:"); ok {
			for name := range strings.FieldsSeq(names) {
				if _, err := os.Stat(s.path(name)); err == nil && name != setup {
					s.Files = append(s.Files, name)
				}
			}
		}
	}
	if len(s.Files) == 0 {
		return nil, fmt.Errorf("%s: no script is on the schedule", dir)
	}
	return s, nil
}

func (s *Suite) path(name string) string { return filepath.Join(s.Dir, "sql", name+".sql") }

// Script opens one script. data is where the server finds the suite's data files.
func (s *Suite) Script(name, data string) (*Script, error) {
	text, err := os.ReadFile(s.path(name))
	if err != nil {
		return nil, err
	}
	sc := NewScript(string(text), map[string]string{"PG_ABS_SRCDIR": data, "PG_ABS_BUILDDIR": data, "PG_LIBDIR": "/nonexistent", "PG_DLSUFFIX": ".so"})
	sc.Setting("VERBOSITY", "default")
	return sc, nil
}

// Server is a PostgreSQL that the suite's databases are made on.
type Server struct {
	dsn  func(database string) string
	data string
}

// settings are those that the suite's answers are written for.
const settings = `timezone = 'PST8PDT'
datestyle = 'Postgres, MDY'
intervalstyle = 'postgres_verbose'
statement_timeout = '20s'
lc_messages = 'C'`

// Prepare makes the two databases that others are copied from. adminDSN is in the keyword form; data is a folder that the
// server can read.
func (s *Suite) Prepare(ctx context.Context, adminDSN, data string) (*Server, error) {
	srv := &Server{data: data, dsn: func(db string) string {
		var out []string
		for word := range strings.FieldsSeq(adminDSN) {
			if strings.HasPrefix(word, "dbname=") {
				word = "dbname=" + db
			}
			out = append(out, word)
		}
		return strings.Join(out, " ")
	}}
	if err := os.CopyFS(filepath.Join(data, "data"), os.DirFS(filepath.Join(s.Dir, "data"))); err != nil {
		return nil, err
	}
	for set := range strings.SplitSeq(settings, "\n") {
		if err := srv.admin(ctx, "ALTER ROLE ALL SET "+set); err != nil {
			return nil, err
		}
	}
	if err := srv.admin(ctx, "CREATE DATABASE regress_setup TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C' ENCODING 'UTF8'"); err != nil {
		return nil, err
	}
	if err := srv.runAll(ctx, s, "regress_setup", setup); err != nil {
		return nil, err
	}
	if err := srv.admin(ctx, "CREATE DATABASE regress_prelude TEMPLATE regress_setup"); err != nil {
		return nil, err
	}
	return srv, srv.runAll(ctx, s, "regress_prelude", s.Prelude...)
}

// Database makes a fresh database for a script.
func (srv *Server) Database(ctx context.Context, s *Suite, name, script string) error {
	from := "regress_prelude"
	for _, p := range s.Prelude {
		if p == script {
			from = "regress_setup"
		}
	}
	return srv.admin(ctx, "CREATE DATABASE "+name+" TEMPLATE "+from)
}

// Drop removes it.
func (srv *Server) Drop(ctx context.Context, name string) error {
	return srv.admin(ctx, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
}

// Connect opens a session on a database, around any gateway.
func (srv *Server) Connect(ctx context.Context, database string) (*pgconn.PgConn, error) {
	return pgconn.Connect(ctx, srv.dsn(database))
}

// Data is where the server finds the suite's files.
func (srv *Server) Data() string { return srv.data }

func (srv *Server) admin(ctx context.Context, sql string) error {
	conn, err := srv.Connect(ctx, "postgres")
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql).ReadAll()
	return errors.Join(err, conn.Close(ctx))
}

// runAll runs scripts as far as they go: what this server cannot do, such as loading the suite's own library, is left out.
func (srv *Server) runAll(ctx context.Context, s *Suite, database string, scripts ...string) error {
	for _, name := range scripts {
		sc, err := s.Script(name, srv.data)
		if err != nil {
			return err
		}
		conn, err := srv.Connect(ctx, database)
		if err != nil {
			return err
		}
		for {
			step, ok := sc.Next()
			if !ok {
				break
			}
			if step.Connect {
				continue
			}
			if _, err := Run(ctx, conn, sc, step); Broken(conn, err) {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		if err := conn.Close(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Broken says whether a session ended with an error.
func Broken(conn *pgconn.PgConn, err error) bool { return err != nil && conn.IsClosed() }

// Run runs one step in a session as psql does, and sets the variables that it asks for.
func Run(ctx context.Context, conn *pgconn.PgConn, sc *Script, st Step) ([]*pgconn.Result, error) {
	if !st.IsCopy && fromClient(st.SQL) {
		return nil, errors.New("a COPY among other statements: its rows are not sent")
	}
	if st.IsCopy {
		_, err := conn.CopyFrom(ctx, strings.NewReader(st.Copy), st.SQL)
		return nil, err
	}
	results, err := conn.Exec(ctx, st.SQL).ReadAll()
	if st.Set && err == nil && len(results) > 0 {
		last := results[len(results)-1]
		for i, f := range last.FieldDescriptions {
			if len(last.Rows) == 1 {
				sc.Setting(st.Prefix+f.Name, string(last.Rows[0][i]))
			}
		}
	}
	return results, err
}

// fromClient says whether a text may make the server wait for rows.
func fromClient(sql string) bool {
	words := strings.Fields(strings.ToLower(sql))
	for i, w := range words {
		if w == "from" && i+1 < len(words) && strings.HasPrefix(words[i+1], "stdin") {
			return true
		}
	}
	return false
}
