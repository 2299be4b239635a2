// Package bypass is the public bypass suite: what a hostile function would try, run end to end against a real server through
// a real gateway, and judged by what the client received and by what changed on the server, never by what a parser said.
// `make bypass` prints the score; TestMasking, TestGuardrails, TestQueues, TestMessagesOnNATS and TestHonest are its families.
//
// Masking cases run in two databases that differ in nothing but their masked values. Each case runs three ways: around the
// gateway, where it has to tell the two databases apart, or it would be no attack; and through the gateway in both, where
// every byte of the two answers has to be the same, and hold no masked value in any spelling.
//
// Cases about queues find the same exchanges, queues and messages each time, and are judged by what is in the broker's queues afterwards,
// which ways of messages are cut off, and every byte that the client received; TestQueuesAreNeeded runs them around the gateway, where they
// have to do harm.
//
// Cases on messages run around the gateway and through it, against a policy that denies some subjects and streams, and masks others.
package bypass
