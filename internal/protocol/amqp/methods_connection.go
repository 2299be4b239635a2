package amqp

// The methods of connections and channels, with their fields in the order of the specification.
type connectionStart struct {
	Major            uint8
	Minor            uint8
	ServerProperties table
	Mechanisms       []byte
	Locales          []byte
}

func (*connectionStart) id() methodID { return idConnectionStart }
func (*connectionStart) name() string { return "connection.start" }
func (m *connectionStart) fields(c *coder) {
	c.uint8(&m.Major)
	c.uint8(&m.Minor)
	c.table(&m.ServerProperties)
	c.long(&m.Mechanisms)
	c.long(&m.Locales)
}

type connectionStartOk struct {
	ClientProperties table
	Mechanism        string
	Response         []byte
	Locale           string
}

func (*connectionStartOk) id() methodID { return idConnectionStartOk }
func (*connectionStartOk) name() string { return "connection.start-ok" }
func (m *connectionStartOk) fields(c *coder) {
	c.table(&m.ClientProperties)
	c.text(&m.Mechanism)
	c.long(&m.Response)
	c.text(&m.Locale)
}

type connectionSecure struct {
	Challenge []byte
}

func (*connectionSecure) id() methodID { return idConnectionSecure }
func (*connectionSecure) name() string { return "connection.secure" }
func (m *connectionSecure) fields(c *coder) {
	c.long(&m.Challenge)
}

type connectionSecureOk struct {
	Response []byte
}

func (*connectionSecureOk) id() methodID { return idConnectionSecureOk }
func (*connectionSecureOk) name() string { return "connection.secure-ok" }
func (m *connectionSecureOk) fields(c *coder) {
	c.long(&m.Response)
}

type connectionTune struct {
	ChannelMax uint16
	FrameMax   uint32
	Heartbeat  uint16
}

func (*connectionTune) id() methodID { return idConnectionTune }
func (*connectionTune) name() string { return "connection.tune" }
func (m *connectionTune) fields(c *coder) {
	c.uint16(&m.ChannelMax)
	c.uint32(&m.FrameMax)
	c.uint16(&m.Heartbeat)
}

type connectionTuneOk struct {
	ChannelMax uint16
	FrameMax   uint32
	Heartbeat  uint16
}

func (*connectionTuneOk) id() methodID { return idConnectionTuneOk }
func (*connectionTuneOk) name() string { return "connection.tune-ok" }
func (m *connectionTuneOk) fields(c *coder) {
	c.uint16(&m.ChannelMax)
	c.uint32(&m.FrameMax)
	c.uint16(&m.Heartbeat)
}

type connectionOpen struct {
	VirtualHost string
	Insist      bool
}

func (*connectionOpen) id() methodID { return idConnectionOpen }
func (*connectionOpen) name() string { return "connection.open" }
func (m *connectionOpen) fields(c *coder) {
	c.text(&m.VirtualHost)
	c.unused()
	c.bits(&m.Insist)
}

type connectionOpenOk struct{}

func (*connectionOpenOk) id() methodID { return idConnectionOpenOk }
func (*connectionOpenOk) name() string { return "connection.open-ok" }
func (m *connectionOpenOk) fields(c *coder) {
	c.unused()
}

type connectionClose struct {
	Code  uint16
	Text  string
	Cause uint32
}

func (*connectionClose) id() methodID { return idConnectionClose }
func (*connectionClose) name() string { return "connection.close" }
func (m *connectionClose) fields(c *coder) {
	c.uint16(&m.Code)
	c.text(&m.Text)
	c.uint32(&m.Cause)
}

type connectionCloseOk struct{}

func (*connectionCloseOk) id() methodID  { return idConnectionCloseOk }
func (*connectionCloseOk) name() string  { return "connection.close-ok" }
func (*connectionCloseOk) fields(*coder) {}

type connectionBlocked struct {
	Reason string
}

func (*connectionBlocked) id() methodID { return idConnectionBlocked }
func (*connectionBlocked) name() string { return "connection.blocked" }
func (m *connectionBlocked) fields(c *coder) {
	c.text(&m.Reason)
}

type connectionUnblocked struct{}

func (*connectionUnblocked) id() methodID  { return idConnectionUnblocked }
func (*connectionUnblocked) name() string  { return "connection.unblocked" }
func (*connectionUnblocked) fields(*coder) {}

type connectionUpdateSecret struct {
	NewSecret []byte
	Reason    string
}

func (*connectionUpdateSecret) id() methodID { return idConnectionUpdateSecret }
func (*connectionUpdateSecret) name() string { return "connection.update-secret" }
func (m *connectionUpdateSecret) fields(c *coder) {
	c.long(&m.NewSecret)
	c.text(&m.Reason)
}

type connectionUpdateSecretOk struct{}

func (*connectionUpdateSecretOk) id() methodID  { return idConnectionUpdateSecretOk }
func (*connectionUpdateSecretOk) name() string  { return "connection.update-secret-ok" }
func (*connectionUpdateSecretOk) fields(*coder) {}

type channelOpen struct{}

func (*channelOpen) id() methodID { return idChannelOpen }
func (*channelOpen) name() string { return "channel.open" }
func (m *channelOpen) fields(c *coder) {
	c.unused()
}

type channelOpenOk struct {
	ChannelID []byte
}

func (*channelOpenOk) id() methodID { return idChannelOpenOk }
func (*channelOpenOk) name() string { return "channel.open-ok" }
func (m *channelOpenOk) fields(c *coder) {
	c.long(&m.ChannelID)
}

type channelFlow struct {
	Active bool
}

func (*channelFlow) id() methodID { return idChannelFlow }
func (*channelFlow) name() string { return "channel.flow" }
func (m *channelFlow) fields(c *coder) {
	c.bits(&m.Active)
}

type channelFlowOk struct {
	Active bool
}

func (*channelFlowOk) id() methodID { return idChannelFlowOk }
func (*channelFlowOk) name() string { return "channel.flow-ok" }
func (m *channelFlowOk) fields(c *coder) {
	c.bits(&m.Active)
}

type channelClose struct {
	Code  uint16
	Text  string
	Cause uint32
}

func (*channelClose) id() methodID { return idChannelClose }
func (*channelClose) name() string { return "channel.close" }
func (m *channelClose) fields(c *coder) {
	c.uint16(&m.Code)
	c.text(&m.Text)
	c.uint32(&m.Cause)
}

type channelCloseOk struct{}

func (*channelCloseOk) id() methodID  { return idChannelCloseOk }
func (*channelCloseOk) name() string  { return "channel.close-ok" }
func (*channelCloseOk) fields(*coder) {}

type accessRequest struct {
	Realm                                   string
	Exclusive, Passive, Active, Write, Read bool
}

func (*accessRequest) id() methodID { return idAccessRequest }
func (*accessRequest) name() string { return "access.request" }
func (m *accessRequest) fields(c *coder) {
	c.text(&m.Realm)
	c.bits(&m.Exclusive, &m.Passive, &m.Active, &m.Write, &m.Read)
}

type accessRequestOk struct {
	Ticket uint16
}

func (*accessRequestOk) id() methodID { return idAccessRequestOk }
func (*accessRequestOk) name() string { return "access.request-ok" }
func (m *accessRequestOk) fields(c *coder) {
	c.uint16(&m.Ticket)
}
