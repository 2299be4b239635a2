// Package transparent holds the tests that a client cannot tell the gateway from the server: the same bytes are sent both
// ways, and the same bytes must come back (TestSameBytes), also after what is refused (TestRefusedLikeTheServer).
// docs/guides/postgres.md lists what differs, and TestKnownDifferences keeps that list true.
package transparent
