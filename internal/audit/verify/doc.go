// Package verify checks an audit log offline, with the public key alone, and trusts nobody: it shares no code with
// package audit, which writes the log, and uses the standard library only. It has its own frame reader, its own Merkle
// tree (RFC 6962), its own reader of signed notes (C2SP signed-note, tlog-checkpoint) and its own Ed25519 check.
//
// What it claims is proven by TestTamperEveryByte, TestTamperWithRecords and TestTruncateAnywhere, and by a second
// verifier in another language (testdata/verify.mjs) that must agree with it.
package verify
