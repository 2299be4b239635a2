package policy

import "testing"

// TestASuggestionIsOfTheSameType: the nearest name may be another type's, which would bind nothing on the connection.
func TestASuggestionIsOfTheSameType(t *testing.T) {
	names := []string{"db:Delete", "db:Select", "mq:Consume", "mq:Purge"}
	for want, says := range map[string]string{"mq:Select": "", "mq:Pruge": "; did you mean mq:Purge?", "bd:Select": "; did you mean db:Select?"} {
		if got := didYouMean(want, names); got != says {
			t.Errorf("%s: %q", want, got)
		}
	}
}
