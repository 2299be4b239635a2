package bypass

// maskingOracles are attacks that ask about a masked value, and learn from how the answer differs.
var maskingOracles = []attack{
	{Technique: "filter by equality", Channel: "simple", Steps: simple("SELECT id FROM customers WHERE email = '${first}'")},
}
