package access

// The detectors, by the names that documents use. They are nouns because a policy names them, a masker implements them,
// and neither of the two imports the other.
const (
	EntityCreditCard = "CREDIT_CARD"
	EntityEmail      = "EMAIL_ADDRESS"
	EntitySSN        = "US_SSN"
	EntityPhone      = "PHONE_NUMBER"
	EntityIBAN       = "IBAN_CODE"
	EntityIP         = "IP_ADDRESS"
)

// Entities returns the names of all detectors, in a fixed order.
func Entities() []string {
	return []string{EntityCreditCard, EntityEmail, EntitySSN, EntityPhone, EntityIBAN, EntityIP}
}
