// Package approval is the waiting room: actions that policy holds wait here until a reviewer answers, and an answer lets
// exactly the held thing run, once (promise 7).
//
//	pending ──approve──▶ approved ──Spend──▶ spent
//	   │ ├──deny──▶ denied      └──time───▶ expired
//	   │ └──time──▶ expired
//	   └──client left──▶ cancelled   (not where the policy lets an approval be used again)
//
// An approval is bound to a digest of connection, principal, text and parameters (Digest). Every change of state is in
// the audit log before it happens, and happens by compare-and-set in the store, so that of two reviewers one wins, and
// of a hundred attempts to spend one succeeds. TestOneReviewerWins, TestSpendOnce, TestNobodyApprovesTheirOwn,
// TestNothingHappensUnrecorded and FuzzDigest prove it. The gate decides again when a wait ends: an approval lifts only
// the hold, never a denial.
package approval
