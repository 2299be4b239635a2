package nats

import "testing"

// TestInboxesNobodyGuesses: an inbox of one's own has a token of random characters, of a length that clients take.
func TestInboxesNobodyGuesses(t *testing.T) {
	for subject, want := range map[string]string{
		"_INBOX.abcdefghijklmnopqrstuv.1": "abcdefghijklmnopqrstuv", "_INBOX.abcdefghijklmnopqrstuv": "abcdefghijklmnopqrstuv", "_INBOX.abcdefghijklmnopqrstuv.*": "abcdefghijklmnopqrstuv",
		"_INBOX.Ff79tp.*": "Ff79tp", "_INBOX.Ff79tp.fHULlW": "Ff79tp", "_INBOX.abc.1": "", "_INBOX.billing.1": "", "_INBOX.>": "", "_INBOX.*": "", "_INBOX.*.Ff79tp": "",
		"_INBOX.abcdefghijklmnopqrstu*.1": "", "_INBOXES.Ff79tp.1": "", "a.Ff79tp": "",
	} {
		if got := inboxOf(subject); got != want {
			t.Errorf("%s is in %q", subject, got)
		}
	}
}
