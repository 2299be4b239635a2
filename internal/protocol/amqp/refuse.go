package amqp

// The codes of exceptions.
const (
	codeOK              = 200
	codeForced          = 320
	codeAccessRefused   = 403
	codeNotFound        = 404
	codePrecondition    = 406
	codeFrameError      = 501
	codeSyntax          = 502
	codeCommandInvalid  = 503
	codeChannelError    = 504
	codeUnexpectedFrame = 505
	codeResource        = 506
	codeNotAllowed      = 530
	codeNotImplemented  = 540
	codeInternal        = 541
)

// exception is an error with its code: one that ends a channel, or the connection.
type exception struct {
	code  uint16
	hard  bool // it ends the connection
	cause methodID
	err   error
}

// Error implements error.
func (e *exception) Error() string { return e.err.Error() }

// Unwrap returns what it says, with its kind.
func (e *exception) Unwrap() error { return e.err }
