// Package audit is the append-only record of what the gateway did: every intent before its bytes leave, every outcome
// after, every refusal, approval and administrator's change, in one gap-free sequence that nobody can quietly change.
//
// Records go into segment files, framed and numbered. A Merkle tree (RFC 6962, as golang.org/x/mod/sumdb/tlog computes
// it) runs over salted commitments to them, and signed checkpoints (C2SP tlog-checkpoint) say what the tree was. The
// whole format is in docs/reference/audit-format.md; docs/adr/0002-audit-format.md and
// docs/adr/0010-audit-writes-not-mapped.md say why it is so.
//
//   - Against the death of the process: Barrier returns only when the records are in the file.
//     [TestKillNineLosesNothingAcknowledged] kills a writer at random moments and looks.
//   - Against loss of power: ModeStrict waits for fsync; ModeFast may lose at most Window, and says so in every checkpoint.
//   - Against a bad disk: the log closes with fault.Unavailable rather than going on ([TestEveryFileOperationMayFail]).
//   - Against change: package audit/verify, which shares no code with this one, finds it (its TestTamperEveryByte).
//
// What a checkpoint covers was synced before it was signed, in either mode
// ([TestWhatTheTreeHasIsSyncedBeforeItIsSigned]).
//
// Order is the sequence, never the clock.
package audit
