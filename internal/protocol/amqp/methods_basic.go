package amqp

// The methods of messages, confirms and transactions, with their fields in the order of the specification.
type basicQos struct {
	PrefetchSize  uint32
	PrefetchCount uint16
	Global        bool
}

func (*basicQos) id() methodID { return idBasicQos }
func (*basicQos) name() string { return "basic.qos" }
func (m *basicQos) fields(c *coder) {
	c.uint32(&m.PrefetchSize)
	c.uint16(&m.PrefetchCount)
	c.bits(&m.Global)
}

type basicQosOk struct{}

func (*basicQosOk) id() methodID  { return idBasicQosOk }
func (*basicQosOk) name() string  { return "basic.qos-ok" }
func (*basicQosOk) fields(*coder) {}

type basicConsume struct {
	Queue                             string
	ConsumerTag                       string
	NoLocal, NoAck, Exclusive, NoWait bool
	Arguments                         table
}

func (*basicConsume) id() methodID { return idBasicConsume }
func (*basicConsume) name() string { return "basic.consume" }
func (m *basicConsume) fields(c *coder) {
	c.ticket()
	c.text(&m.Queue)
	c.text(&m.ConsumerTag)
	c.bits(&m.NoLocal, &m.NoAck, &m.Exclusive, &m.NoWait)
	c.table(&m.Arguments)
}

type basicConsumeOk struct {
	ConsumerTag string
}

func (*basicConsumeOk) id() methodID { return idBasicConsumeOk }
func (*basicConsumeOk) name() string { return "basic.consume-ok" }
func (m *basicConsumeOk) fields(c *coder) {
	c.text(&m.ConsumerTag)
}

type basicCancel struct {
	ConsumerTag string
	NoWait      bool
}

func (*basicCancel) id() methodID { return idBasicCancel }
func (*basicCancel) name() string { return "basic.cancel" }
func (m *basicCancel) fields(c *coder) {
	c.text(&m.ConsumerTag)
	c.bits(&m.NoWait)
}

type basicCancelOk struct {
	ConsumerTag string
}

func (*basicCancelOk) id() methodID { return idBasicCancelOk }
func (*basicCancelOk) name() string { return "basic.cancel-ok" }
func (m *basicCancelOk) fields(c *coder) {
	c.text(&m.ConsumerTag)
}

type basicPublish struct {
	Exchange             string
	RoutingKey           string
	Mandatory, Immediate bool
}

func (*basicPublish) id() methodID { return idBasicPublish }
func (*basicPublish) name() string { return "basic.publish" }
func (m *basicPublish) fields(c *coder) {
	c.ticket()
	c.text(&m.Exchange)
	c.text(&m.RoutingKey)
	c.bits(&m.Mandatory, &m.Immediate)
}

type basicReturn struct {
	Code       uint16
	Text       string
	Exchange   string
	RoutingKey string
}

func (*basicReturn) id() methodID { return idBasicReturn }
func (*basicReturn) name() string { return "basic.return" }
func (m *basicReturn) fields(c *coder) {
	c.uint16(&m.Code)
	c.text(&m.Text)
	c.text(&m.Exchange)
	c.text(&m.RoutingKey)
}

type basicDeliver struct {
	ConsumerTag string
	DeliveryTag uint64
	Redelivered bool
	Exchange    string
	RoutingKey  string
}

func (*basicDeliver) id() methodID { return idBasicDeliver }
func (*basicDeliver) name() string { return "basic.deliver" }
func (m *basicDeliver) fields(c *coder) {
	c.text(&m.ConsumerTag)
	c.uint64(&m.DeliveryTag)
	c.bits(&m.Redelivered)
	c.text(&m.Exchange)
	c.text(&m.RoutingKey)
}

type basicGet struct {
	Queue string
	NoAck bool
}

func (*basicGet) id() methodID { return idBasicGet }
func (*basicGet) name() string { return "basic.get" }
func (m *basicGet) fields(c *coder) {
	c.ticket()
	c.text(&m.Queue)
	c.bits(&m.NoAck)
}

type basicGetOk struct {
	DeliveryTag  uint64
	Redelivered  bool
	Exchange     string
	RoutingKey   string
	MessageCount uint32
}

func (*basicGetOk) id() methodID { return idBasicGetOk }
func (*basicGetOk) name() string { return "basic.get-ok" }
func (m *basicGetOk) fields(c *coder) {
	c.uint64(&m.DeliveryTag)
	c.bits(&m.Redelivered)
	c.text(&m.Exchange)
	c.text(&m.RoutingKey)
	c.uint32(&m.MessageCount)
}

type basicGetEmpty struct{}

func (*basicGetEmpty) id() methodID { return idBasicGetEmpty }
func (*basicGetEmpty) name() string { return "basic.get-empty" }
func (m *basicGetEmpty) fields(c *coder) {
	c.unused()
}

type basicAck struct {
	DeliveryTag uint64
	Multiple    bool
}

func (*basicAck) id() methodID { return idBasicAck }
func (*basicAck) name() string { return "basic.ack" }
func (m *basicAck) fields(c *coder) {
	c.uint64(&m.DeliveryTag)
	c.bits(&m.Multiple)
}

type basicReject struct {
	DeliveryTag uint64
	Requeue     bool
}

func (*basicReject) id() methodID { return idBasicReject }
func (*basicReject) name() string { return "basic.reject" }
func (m *basicReject) fields(c *coder) {
	c.uint64(&m.DeliveryTag)
	c.bits(&m.Requeue)
}

type basicRecoverAsync struct {
	Requeue bool
}

func (*basicRecoverAsync) id() methodID { return idBasicRecoverAsync }
func (*basicRecoverAsync) name() string { return "basic.recover-async" }
func (m *basicRecoverAsync) fields(c *coder) {
	c.bits(&m.Requeue)
}

type basicRecover struct {
	Requeue bool
}

func (*basicRecover) id() methodID { return idBasicRecover }
func (*basicRecover) name() string { return "basic.recover" }
func (m *basicRecover) fields(c *coder) {
	c.bits(&m.Requeue)
}

type basicRecoverOk struct{}

func (*basicRecoverOk) id() methodID  { return idBasicRecoverOk }
func (*basicRecoverOk) name() string  { return "basic.recover-ok" }
func (*basicRecoverOk) fields(*coder) {}

type basicNack struct {
	DeliveryTag       uint64
	Multiple, Requeue bool
}

func (*basicNack) id() methodID { return idBasicNack }
func (*basicNack) name() string { return "basic.nack" }
func (m *basicNack) fields(c *coder) {
	c.uint64(&m.DeliveryTag)
	c.bits(&m.Multiple, &m.Requeue)
}

type confirmSelect struct {
	NoWait bool
}

func (*confirmSelect) id() methodID { return idConfirmSelect }
func (*confirmSelect) name() string { return "confirm.select" }
func (m *confirmSelect) fields(c *coder) {
	c.bits(&m.NoWait)
}

type confirmSelectOk struct{}

func (*confirmSelectOk) id() methodID  { return idConfirmSelectOk }
func (*confirmSelectOk) name() string  { return "confirm.select-ok" }
func (*confirmSelectOk) fields(*coder) {}

type txSelect struct{}

func (*txSelect) id() methodID  { return idTxSelect }
func (*txSelect) name() string  { return "tx.select" }
func (*txSelect) fields(*coder) {}

type txSelectOk struct{}

func (*txSelectOk) id() methodID  { return idTxSelectOk }
func (*txSelectOk) name() string  { return "tx.select-ok" }
func (*txSelectOk) fields(*coder) {}

type txCommit struct{}

func (*txCommit) id() methodID  { return idTxCommit }
func (*txCommit) name() string  { return "tx.commit" }
func (*txCommit) fields(*coder) {}

type txCommitOk struct{}

func (*txCommitOk) id() methodID  { return idTxCommitOk }
func (*txCommitOk) name() string  { return "tx.commit-ok" }
func (*txCommitOk) fields(*coder) {}

type txRollback struct{}

func (*txRollback) id() methodID  { return idTxRollback }
func (*txRollback) name() string  { return "tx.rollback" }
func (*txRollback) fields(*coder) {}

type txRollbackOk struct{}

func (*txRollbackOk) id() methodID  { return idTxRollbackOk }
func (*txRollbackOk) name() string  { return "tx.rollback-ok" }
func (*txRollbackOk) fields(*coder) {}
