// Package archtest keeps the house rules of CONTRIBUTING.md as tests: which package may import which, that everything is
// documented, that no code outside its folder spells a protocol's name, that nothing hides in init functions, package
// variables or the clock, and that what the documents claim (tests that prove promises, reasons for dependencies) exists.
//
// A rule that fails says what to do instead. An exception is one line in exceptions_test.go, with its reason; one that
// is no longer needed fails too. TestRulesCanFail proves that each rule can. docs/adr/0003-house-rules-are-tests.md says
// why they are Go.
package archtest
