// Package regress reads psql's scripts and runs them, statement by statement, against a private server: the project's own
// sample in testdata, and with `make regress` PostgreSQL's own regression suite, which is fetched and never kept in the
// repository. Its tests say how many honest queries the gateway refuses, and why (TestRefusals); package pgsql uses it to
// hold the analysis to what the server calls reading (TestReadingIsReading).
package regress
