import java.io.StringReader;
import java.io.StringWriter;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.Arrays;
import java.util.Properties;
import org.apache.commons.dbcp2.BasicDataSource;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.PGStatement;
import org.postgresql.util.PSQLException;

/**
 * Plays every feature with JDBC, as environment variables say (PGHOST and so on), and prints a line of JSON for each. It is
 * run from its source: java -cp postgresql.jar:... Jdbc.java
 */
public class Jdbc {
  interface Run {
    void run() throws Exception;
  }

  static final int LARGE = 64 << 20;
  static Connection conn;

  static String url() {
    return "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE")
        + "?sslmode=verify-full&sslrootcert=" + System.getenv("PGSSLROOTCERT");
  }

  static Connection connect(String token) throws SQLException {
    Properties p = new Properties();
    p.setProperty("user", System.getenv("PGUSER"));
    p.setProperty("password", token);
    return DriverManager.getConnection(url(), p);
  }

  static void feature(String name, Run r) {
    try {
      r.run();
      System.out.println("{\"feature\": \"" + name + "\", \"ok\": true}");
    } catch (Throwable e) {
      StackTraceElement[] at = Arrays.stream(e.getStackTrace()).filter(s -> s.getClassName().startsWith("Jdbc")).toArray(StackTraceElement[]::new);
      String text = (e + (at.length > 0 ? " at " + at[0] : "")).replaceAll("[\\\\\"\\p{Cntrl}]", " ");
      System.out.println("{\"feature\": \"" + name + "\", \"ok\": false, \"detail\": \"" + text + "\"}");
    }
  }

  static void same(Object want, Object got) {
    if (!want.equals(got)) {
      throw new AssertionError("got " + got + ", want " + want);
    }
  }

  static String one(Connection c, String text, Object... params) throws SQLException {
    try (PreparedStatement s = c.prepareStatement(text)) {
      for (int i = 0; i < params.length; i++) {
        s.setObject(i + 1, params[i]);
      }
      try (ResultSet r = s.executeQuery()) {
        r.next();
        return r.getString(1);
      }
    }
  }

  static void run(Connection c, String text) throws SQLException {
    try (Statement s = c.createStatement()) {
      s.execute(text);
    }
  }

  static SQLException fails(String state, Run r) throws Exception {
    try {
      r.run();
    } catch (SQLException e) {
      same(state, e.getSQLState());
      return e;
    }
    throw new AssertionError("no error");
  }

  static void simple() throws Exception {
    try (Statement s = conn.createStatement(); ResultSet r = s.executeQuery("SELECT 40 + 2")) {
      r.next();
      same(42, r.getInt(1));
    }
    Properties p = new Properties();
    p.setProperty("user", "fn");
    p.setProperty("password", System.getenv("PGPASSWORD"));
    p.setProperty("preferQueryMode", "simple");
    try (Connection c = DriverManager.getConnection(url(), p)) {
      same("3", one(c, "SELECT ?::integer + 1", 2));
    }
  }

  static void prepared() throws Exception {
    try (PreparedStatement s = conn.prepareStatement("SELECT ?::integer * 2")) {
      s.unwrap(PGStatement.class).setPrepareThreshold(2);
      for (int i = 0; i < 50; i++) {
        s.setInt(1, i);
        try (ResultSet r = s.executeQuery()) {
          r.next();
          same(2 * i, r.getInt(1));
        }
      }
      same(true, s.unwrap(PGStatement.class).isUseServerPrepare());
    }
  }

  // A batch of JDBC is a pipeline: Bind and Execute of each, and one Sync.
  static void pipeline() throws Exception {
    try (PreparedStatement s = conn.prepareStatement("INSERT INTO tables.work (id, name) VALUES (?, 'pipeline')")) {
      for (int i = 0; i < 500; i++) {
        s.setInt(1, i);
        s.addBatch();
      }
      same(500, s.executeBatch().length);
    }
    try (PreparedStatement s = conn.prepareStatement("INSERT INTO tables.work (id, name) VALUES (1 / ?, 'pipeline')")) {
      for (int i = 3; i >= 0; i--) {
        s.setInt(1, i);
        s.addBatch();
      }
      try {
        s.executeBatch();
        throw new AssertionError("no error");
      } catch (BatchUpdateException e) {
        same("22012", e.getSQLState());
      }
    }
    same("500", one(conn, "SELECT count(*) FROM tables.work WHERE name = 'pipeline'"));
    run(conn, "DELETE FROM tables.work WHERE name = 'pipeline'");
  }

  static void batch() throws Exception {
    try (Statement s = conn.createStatement()) {
      s.addBatch("INSERT INTO tables.work (id, name) VALUES (1, 'batch')");
      s.addBatch("INSERT INTO tables.work (id, name) VALUES (2, 'batch')");
      s.addBatch("DELETE FROM tables.work WHERE name = 'batch'");
      same("[1, 1, 2]", Arrays.toString(s.executeBatch()));
      s.execute("SELECT 1; SELECT 2");
      same(true, s.getMoreResults());
    }
  }

  static void copyIn() throws Exception {
    same(2L, conn.unwrap(PGConnection.class).getCopyAPI().copyIn("COPY tables.work FROM STDIN", new StringReader("1\tcopied\t{a,b}\n2\tcopied\t\\N\n")));
  }

  static void copyOut() throws Exception {
    StringWriter w = new StringWriter();
    conn.unwrap(PGConnection.class).getCopyAPI().copyOut("COPY (SELECT id, tags FROM tables.work WHERE name = 'copied' ORDER BY id) TO STDOUT", w);
    same("1\t{a,b}\n2\t\\N\n", w.toString());
    run(conn, "DELETE FROM tables.work WHERE name = 'copied'");
  }

  static void cancel() throws Exception {
    long began = System.currentTimeMillis();
    try (Statement s = conn.createStatement()) {
      s.setQueryTimeout(1); // sends a cancel request
      fails("57014", () -> s.execute("SELECT pg_sleep(60)"));
    }
    same(true, System.currentTimeMillis() - began < 30000);
    same("1", one(conn, "SELECT 1"));
  }

  static void hear() throws Exception {
    run(conn, "LISTEN matrix");
    try (Connection other = connect(System.getenv("PGPASSWORD"))) {
      run(other, "NOTIFY matrix, 'hello'");
    }
    PGNotification[] heard = conn.unwrap(PGConnection.class).getNotifications(30000);
    same("matrix hello", heard[0].getName() + " " + heard[0].getParameter());
    run(conn, "UNLISTEN *");
  }

  static void large() throws Exception {
    String text = one(conn, "SELECT repeat('x', 67108864)");
    same(LARGE, text.length());
    same("67108864", one(conn, "SELECT length(?::text)", text));
  }

  static void nulls() throws Exception {
    try (PreparedStatement s = conn.prepareStatement("SELECT ?::text, NULL::integer")) {
      s.setString(1, null);
      try (ResultSet r = s.executeQuery()) {
        r.next();
        same(true, r.getString(1) == null && r.getInt(2) == 0 && r.wasNull());
      }
    }
  }

  static void arrays() throws Exception {
    Array a = conn.createArrayOf("text", new String[] {"a", "b,\"c", null});
    try (PreparedStatement s = conn.prepareStatement("SELECT ?::text[]")) {
      s.setArray(1, a);
      try (ResultSet r = s.executeQuery()) {
        r.next();
        same("[a, b,\"c, null]", Arrays.toString((String[]) r.getArray(1).getArray()));
      }
    }
  }

  static void errors() throws Exception {
    conn.setAutoCommit(false);
    try {
      run(conn, "INSERT INTO tables.work (id, name) VALUES (7, 'tx')");
      Savepoint a = conn.setSavepoint("a");
      fails("22012", () -> one(conn, "SELECT 1 / ?::integer", 0));
      fails("25P02", () -> one(conn, "SELECT 1"));
      conn.rollback(a);
      same("1", one(conn, "SELECT count(*) FROM tables.work WHERE name = 'tx'"));
      conn.rollback();
      same("0", one(conn, "SELECT count(*) FROM tables.work WHERE name = 'tx'"));
      conn.commit();
      try (PreparedStatement s = conn.prepareStatement("SELECT i FROM generate_series(1, 100) i")) {
        s.setFetchSize(7); // a portal that is suspended
        try (ResultSet r = s.executeQuery()) {
          int n = 0;
          while (r.next()) {
            n += r.getInt(1);
          }
          same(5050, n);
        }
      }
      conn.commit();
    } finally {
      conn.setAutoCommit(true);
    }
  }

  static void reset() throws Exception {
    try (Connection c = connect(System.getenv("PGPASSWORD"))) {
      for (String text : new String[] {"SET statement_timeout = '1h'", "RESET statement_timeout", "SET statement_timeout = '1h'", "RESET ALL", "SET statement_timeout = '1h'", "DISCARD ALL"}) {
        run(c, text);
      }
      same("0", one(c, "SHOW statement_timeout"));
    }
  }

  static void badToken() throws Exception {
    SQLException e = fails("28P01", () -> connect("no-token-at-all").close());
    same(true, e.getMessage().contains("authentication failed") && e.getMessage().contains("gatehouse whoami"));
  }

  static void refusal() throws Exception {
    try (Connection c = connect(System.getenv("LIMITED_TOKEN"))) {
      PSQLException e = (PSQLException) fails("42501", () -> one(c, "SELECT * FROM hidden.things"));
      String hint = e.getServerErrorMessage().getHint();
      same(true, hint != null && (e.getMessage() + hint).contains("not-the-hidden"));
      same("1", one(c, "SELECT 1"));
    }
  }

  static void pool() throws Exception {
    try (BasicDataSource pool = new BasicDataSource()) {
      pool.setUrl(url());
      pool.setUsername(System.getenv("PGUSER"));
      pool.setPassword(System.getenv("PGPASSWORD"));
      pool.setMaxTotal(4);
      pool.setValidationQuery("SELECT 1");
      pool.setTestOnBorrow(true);
      pool.setTestOnReturn(true);
      for (int i = 0; i < 20; i++) {
        try (Connection c = pool.getConnection()) {
          same(true, c.isValid(5));
          same("" + i, one(c, "SELECT ?::integer", i));
        }
      }
    }
  }

  public static void main(String[] args) {
    feature("login", () -> conn = connect(System.getenv("PGPASSWORD")));
    if (conn == null) {
      return;
    }
    feature("simple", Jdbc::simple);
    feature("prepared", Jdbc::prepared);
    feature("pipeline", Jdbc::pipeline);
    feature("batch", Jdbc::batch);
    feature("copy in", Jdbc::copyIn);
    feature("copy out", Jdbc::copyOut);
    feature("cancel", Jdbc::cancel);
    feature("notify", Jdbc::hear);
    feature("64 MiB", Jdbc::large);
    feature("null", Jdbc::nulls);
    feature("array", Jdbc::arrays);
    feature("tx errors", Jdbc::errors);
    feature("reset", Jdbc::reset);
    feature("bad token", Jdbc::badToken);
    feature("refusal", Jdbc::refusal);
    feature("pool", Jdbc::pool);
  }
}
