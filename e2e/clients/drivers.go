package clients

import (
	"path/filepath"

	"github.com/jackc/pgx/v5"
)

const (
	noMigrations = "a driver; migrations and introspection are an ORM's"
	noPool       = "psql is one connection"
	ofDriver     = "an ORM leaves it to its driver"
)

// lacks is the features that a driver without an ORM lacks, and more.
func lacks(more map[string]string) map[string]string {
	out := map[string]string{"migrate": noMigrations, "introspect": noMigrations}
	for f, why := range more {
		out[f] = why
	}
	return out
}

// Drivers are the rows.
func Drivers() []Driver {
	python := func(script string, args ...string) func(string) []string {
		return func(dir string) []string {
			return append([]string{"/usr/bin/python3", filepath.Join(dir, script)}, args...)
		}
	}
	all := []Driver{{Name: "psql", Short: true, InProcess: psql, Lacks: lacks(map[string]string{"pool": noPool,
		"pipeline": "psql 15 has no pipeline mode"})}}
	for _, m := range []struct {
		name string
		mode pgx.QueryExecMode
	}{
		{"pgx, cached statements", pgx.QueryExecModeCacheStatement}, {"pgx, cached descriptions", pgx.QueryExecModeCacheDescribe},
		{"pgx, describe and run", pgx.QueryExecModeDescribeExec}, {"pgx, run", pgx.QueryExecModeExec}, {"pgx, simple protocol", pgx.QueryExecModeSimpleProtocol},
	} {
		all = append(all, Driver{Name: m.name, Short: true, InProcess: viaPgx(m.mode), Lacks: lacks(nil)})
	}
	return append(all,
		Driver{Name: "lib/pq", Short: true, InProcess: libpq, Lacks: lacks(map[string]string{
			"pipeline": "lib/pq waits for each answer", "copy out": "lib/pq refuses COPY TO by itself"})},
		Driver{Name: "psycopg2", Short: true, Command: python("python.py", "2"), Lacks: lacks(map[string]string{
			"prepared": "psycopg2 puts parameters into the text", "pipeline": "psycopg2 waits for each answer"})},
		Driver{Name: "psycopg 3", Command: python("python.py", "3"), Lacks: lacks(nil)},
		Driver{Name: "node-postgres", Command: func(dir string) []string { return []string{"node", filepath.Join(dir, "node", "main.mjs")} },
			Lacks: lacks(nil)},
		Driver{Name: "JDBC", Command: func(dir string) []string {
			return []string{"java", "-Xmx1g", "-cp", "/usr/share/java/postgresql.jar:/usr/share/java/commons-dbcp2.jar:/usr/share/java/commons-pool2.jar:/usr/share/java/commons-logging.jar",
				filepath.Join(dir, "Jdbc.java")}
		}, Lacks: lacks(nil)},
		Driver{Name: "SQLAlchemy, Alembic", Command: python("orm.py"), Lacks: map[string]string{
			"copy in": ofDriver, "copy out": ofDriver, "cancel": ofDriver, "notify": ofDriver, "pipeline": ofDriver, "prepared": ofDriver}},
	)
}
