package bypass

// maskingReads are attacks that read a masked value, in some form, straight out.
var maskingReads = []attack{
	{Technique: "plain column", Channel: "simple", Steps: simple("SELECT email, ssn, phone, notes, salary FROM customers ORDER BY id")},
	{Technique: "plain column", Channel: "binary", Steps: extended("SELECT email, ssn, phone, notes, salary FROM customers ORDER BY id", true)},
}
