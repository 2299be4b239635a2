// Package insight reads what happened for advice. It is pure: it is fed with events, and keeps what it needs of them.
//
// A Collector makes the least policy of what a role did (TestCollector): the actions that were let through, on the resources that
// they were on. Resources are put together by stated rules only (fold.go): what a connection's own templates say, and more than
// [Many] below one prefix. What it cannot say is a note for whoever reviews the policy (TestNotes). Its memory does not depend on
// how long the log is, but on how much of it differs, and that is bounded (TestBounds).
package insight
