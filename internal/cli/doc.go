// Package cli is the gatehouse command: cobra commands over the control API's client, and over a handful of functions that
// main passes in (Gateway) for what runs the gateway or works on its files. It imports no service. What it prints about
// other people's words (statements, results, names) is made visible first, so that a recorded escape sequence never
// reaches the reader's terminal (TestVisible).
//
// Plain cobra rather than a styling layer on top: errors here carry source lines with a caret below, which must keep their
// columns, and scripts read the same bytes as people do.
package cli
