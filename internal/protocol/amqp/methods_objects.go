package amqp

// The methods of exchanges and queues, with their fields in the order of the specification.
type exchangeDeclare struct {
	Exchange                                       string
	Type                                           string
	Passive, Durable, AutoDelete, Internal, NoWait bool
	Arguments                                      table
}

func (*exchangeDeclare) id() methodID { return idExchangeDeclare }
func (*exchangeDeclare) name() string { return "exchange.declare" }
func (m *exchangeDeclare) fields(c *coder) {
	c.ticket()
	c.text(&m.Exchange)
	c.text(&m.Type)
	c.bits(&m.Passive, &m.Durable, &m.AutoDelete, &m.Internal, &m.NoWait)
	c.table(&m.Arguments)
}

type exchangeDeclareOk struct{}

func (*exchangeDeclareOk) id() methodID  { return idExchangeDeclareOk }
func (*exchangeDeclareOk) name() string  { return "exchange.declare-ok" }
func (*exchangeDeclareOk) fields(*coder) {}

type exchangeDelete struct {
	Exchange         string
	IfUnused, NoWait bool
}

func (*exchangeDelete) id() methodID { return idExchangeDelete }
func (*exchangeDelete) name() string { return "exchange.delete" }
func (m *exchangeDelete) fields(c *coder) {
	c.ticket()
	c.text(&m.Exchange)
	c.bits(&m.IfUnused, &m.NoWait)
}

type exchangeDeleteOk struct{}

func (*exchangeDeleteOk) id() methodID  { return idExchangeDeleteOk }
func (*exchangeDeleteOk) name() string  { return "exchange.delete-ok" }
func (*exchangeDeleteOk) fields(*coder) {}

type exchangeBind struct {
	Destination string
	Source      string
	RoutingKey  string
	NoWait      bool
	Arguments   table
}

func (*exchangeBind) id() methodID { return idExchangeBind }
func (*exchangeBind) name() string { return "exchange.bind" }
func (m *exchangeBind) fields(c *coder) {
	c.ticket()
	c.text(&m.Destination)
	c.text(&m.Source)
	c.text(&m.RoutingKey)
	c.bits(&m.NoWait)
	c.table(&m.Arguments)
}

type exchangeBindOk struct{}

func (*exchangeBindOk) id() methodID  { return idExchangeBindOk }
func (*exchangeBindOk) name() string  { return "exchange.bind-ok" }
func (*exchangeBindOk) fields(*coder) {}

type exchangeUnbind struct {
	Destination string
	Source      string
	RoutingKey  string
	NoWait      bool
	Arguments   table
}

func (*exchangeUnbind) id() methodID { return idExchangeUnbind }
func (*exchangeUnbind) name() string { return "exchange.unbind" }
func (m *exchangeUnbind) fields(c *coder) {
	c.ticket()
	c.text(&m.Destination)
	c.text(&m.Source)
	c.text(&m.RoutingKey)
	c.bits(&m.NoWait)
	c.table(&m.Arguments)
}

type exchangeUnbindOk struct{}

func (*exchangeUnbindOk) id() methodID  { return idExchangeUnbindOk }
func (*exchangeUnbindOk) name() string  { return "exchange.unbind-ok" }
func (*exchangeUnbindOk) fields(*coder) {}

type queueDeclare struct {
	Queue                                           string
	Passive, Durable, Exclusive, AutoDelete, NoWait bool
	Arguments                                       table
}

func (*queueDeclare) id() methodID { return idQueueDeclare }
func (*queueDeclare) name() string { return "queue.declare" }
func (m *queueDeclare) fields(c *coder) {
	c.ticket()
	c.text(&m.Queue)
	c.bits(&m.Passive, &m.Durable, &m.Exclusive, &m.AutoDelete, &m.NoWait)
	c.table(&m.Arguments)
}

type queueDeclareOk struct {
	Queue         string
	MessageCount  uint32
	ConsumerCount uint32
}

func (*queueDeclareOk) id() methodID { return idQueueDeclareOk }
func (*queueDeclareOk) name() string { return "queue.declare-ok" }
func (m *queueDeclareOk) fields(c *coder) {
	c.text(&m.Queue)
	c.uint32(&m.MessageCount)
	c.uint32(&m.ConsumerCount)
}

type queueBind struct {
	Queue      string
	Exchange   string
	RoutingKey string
	NoWait     bool
	Arguments  table
}

func (*queueBind) id() methodID { return idQueueBind }
func (*queueBind) name() string { return "queue.bind" }
func (m *queueBind) fields(c *coder) {
	c.ticket()
	c.text(&m.Queue)
	c.text(&m.Exchange)
	c.text(&m.RoutingKey)
	c.bits(&m.NoWait)
	c.table(&m.Arguments)
}

type queueBindOk struct{}

func (*queueBindOk) id() methodID  { return idQueueBindOk }
func (*queueBindOk) name() string  { return "queue.bind-ok" }
func (*queueBindOk) fields(*coder) {}

type queuePurge struct {
	Queue  string
	NoWait bool
}

func (*queuePurge) id() methodID { return idQueuePurge }
func (*queuePurge) name() string { return "queue.purge" }
func (m *queuePurge) fields(c *coder) {
	c.ticket()
	c.text(&m.Queue)
	c.bits(&m.NoWait)
}

type queuePurgeOk struct {
	MessageCount uint32
}

func (*queuePurgeOk) id() methodID { return idQueuePurgeOk }
func (*queuePurgeOk) name() string { return "queue.purge-ok" }
func (m *queuePurgeOk) fields(c *coder) {
	c.uint32(&m.MessageCount)
}

type queueDelete struct {
	Queue                     string
	IfUnused, IfEmpty, NoWait bool
}

func (*queueDelete) id() methodID { return idQueueDelete }
func (*queueDelete) name() string { return "queue.delete" }
func (m *queueDelete) fields(c *coder) {
	c.ticket()
	c.text(&m.Queue)
	c.bits(&m.IfUnused, &m.IfEmpty, &m.NoWait)
}

type queueDeleteOk struct {
	MessageCount uint32
}

func (*queueDeleteOk) id() methodID { return idQueueDeleteOk }
func (*queueDeleteOk) name() string { return "queue.delete-ok" }
func (m *queueDeleteOk) fields(c *coder) {
	c.uint32(&m.MessageCount)
}

type queueUnbind struct {
	Queue      string
	Exchange   string
	RoutingKey string
	Arguments  table
}

func (*queueUnbind) id() methodID { return idQueueUnbind }
func (*queueUnbind) name() string { return "queue.unbind" }
func (m *queueUnbind) fields(c *coder) {
	c.ticket()
	c.text(&m.Queue)
	c.text(&m.Exchange)
	c.text(&m.RoutingKey)
	c.table(&m.Arguments)
}

type queueUnbindOk struct{}

func (*queueUnbindOk) id() methodID  { return idQueueUnbindOk }
func (*queueUnbindOk) name() string  { return "queue.unbind-ok" }
func (*queueUnbindOk) fields(*coder) {}
