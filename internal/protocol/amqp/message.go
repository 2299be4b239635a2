package amqp

import (
	"encoding/binary"
	"fmt"

	"gatehouse/internal/fault"
)

// methodID is a class and a method.
type methodID uint32

// method is one method of the protocol. Names in it are bytes as they were sent: they need not be UTF-8.
type method interface {
	id() methodID
	name() string // as the specification writes it
	fields(c *coder)
}

// decodeMethod reads the payload of a method frame to its last byte. A method that is not listed below is not understood.
func decodeMethod(payload []byte) (method, error) {
	if len(payload) < 4 {
		return nil, errSyntax(0, errShort)
	}
	id := methodID(binary.BigEndian.Uint32(payload))
	m := newMethod(id)
	if m == nil {
		return nil, &exception{code: codeNotImplemented, hard: true, cause: id,
			err: fault.New(fault.Malformed, "amqp.method", "method %d of class %d is unknown here", id&0xffff, id>>16)}
	}
	c := coder{b: payload[4:]}
	m.fields(&c)
	if c.err == nil && len(c.b) > 0 {
		c.err = errBehind
	}
	if c.err != nil {
		return nil, errSyntax(id, c.err)
	}
	return m, nil
}

// peekID returns which method a payload is; 0 where it is too short to be one.
func peekID(payload []byte) methodID {
	if len(payload) < 4 {
		return 0
	}
	return methodID(binary.BigEndian.Uint32(payload))
}

func encodeFields(dst []byte, m method) []byte {
	c := coder{out: dst, writing: true}
	m.fields(&c)
	return c.out
}

func errSyntax(id methodID, why error) error {
	return &exception{code: codeSyntax, hard: true, cause: id, err: fault.New(fault.Malformed, "amqp.method", "%s", fmt.Sprintf("%s cannot be read: %v", nameOf(id), why))}
}

// nameOf names a method for people.
func nameOf(id methodID) string {
	if m := newMethod(id); m != nil {
		return m.name()
	}
	return "a method"
}

// The methods.
const (
	idConnectionStart          methodID = 10<<16 | 10
	idConnectionStartOk        methodID = 10<<16 | 11
	idConnectionSecure         methodID = 10<<16 | 20
	idConnectionSecureOk       methodID = 10<<16 | 21
	idConnectionTune           methodID = 10<<16 | 30
	idConnectionTuneOk         methodID = 10<<16 | 31
	idConnectionOpen           methodID = 10<<16 | 40
	idConnectionOpenOk         methodID = 10<<16 | 41
	idConnectionClose          methodID = 10<<16 | 50
	idConnectionCloseOk        methodID = 10<<16 | 51
	idConnectionBlocked        methodID = 10<<16 | 60
	idConnectionUnblocked      methodID = 10<<16 | 61
	idConnectionUpdateSecret   methodID = 10<<16 | 70
	idConnectionUpdateSecretOk methodID = 10<<16 | 71
	idChannelOpen              methodID = 20<<16 | 10
	idChannelOpenOk            methodID = 20<<16 | 11
	idChannelFlow              methodID = 20<<16 | 20
	idChannelFlowOk            methodID = 20<<16 | 21
	idChannelClose             methodID = 20<<16 | 40
	idChannelCloseOk           methodID = 20<<16 | 41
	idAccessRequest            methodID = 30<<16 | 10
	idAccessRequestOk          methodID = 30<<16 | 11
	idExchangeDeclare          methodID = 40<<16 | 10
	idExchangeDeclareOk        methodID = 40<<16 | 11
	idExchangeDelete           methodID = 40<<16 | 20
	idExchangeDeleteOk         methodID = 40<<16 | 21
	idExchangeBind             methodID = 40<<16 | 30
	idExchangeBindOk           methodID = 40<<16 | 31
	idExchangeUnbind           methodID = 40<<16 | 40
	idExchangeUnbindOk         methodID = 40<<16 | 51
	idQueueDeclare             methodID = 50<<16 | 10
	idQueueDeclareOk           methodID = 50<<16 | 11
	idQueueBind                methodID = 50<<16 | 20
	idQueueBindOk              methodID = 50<<16 | 21
	idQueuePurge               methodID = 50<<16 | 30
	idQueuePurgeOk             methodID = 50<<16 | 31
	idQueueDelete              methodID = 50<<16 | 40
	idQueueDeleteOk            methodID = 50<<16 | 41
	idQueueUnbind              methodID = 50<<16 | 50
	idQueueUnbindOk            methodID = 50<<16 | 51
	idBasicQos                 methodID = 60<<16 | 10
	idBasicQosOk               methodID = 60<<16 | 11
	idBasicConsume             methodID = 60<<16 | 20
	idBasicConsumeOk           methodID = 60<<16 | 21
	idBasicCancel              methodID = 60<<16 | 30
	idBasicCancelOk            methodID = 60<<16 | 31
	idBasicPublish             methodID = 60<<16 | 40
	idBasicReturn              methodID = 60<<16 | 50
	idBasicDeliver             methodID = 60<<16 | 60
	idBasicGet                 methodID = 60<<16 | 70
	idBasicGetOk               methodID = 60<<16 | 71
	idBasicGetEmpty            methodID = 60<<16 | 72
	idBasicAck                 methodID = 60<<16 | 80
	idBasicReject              methodID = 60<<16 | 90
	idBasicRecoverAsync        methodID = 60<<16 | 100
	idBasicRecover             methodID = 60<<16 | 110
	idBasicRecoverOk           methodID = 60<<16 | 111
	idBasicNack                methodID = 60<<16 | 120
	idConfirmSelect            methodID = 85<<16 | 10
	idConfirmSelectOk          methodID = 85<<16 | 11
	idTxSelect                 methodID = 90<<16 | 10
	idTxSelectOk               methodID = 90<<16 | 11
	idTxCommit                 methodID = 90<<16 | 20
	idTxCommitOk               methodID = 90<<16 | 21
	idTxRollback               methodID = 90<<16 | 30
	idTxRollbackOk             methodID = 90<<16 | 31
)

// newMethod returns an empty method, or nil for one that is unknown.
func newMethod(id methodID) method {
	switch id >> 16 {
	case 10:
		return newConnectionMethod(id)
	case 20, 30:
		return newChannelMethod(id)
	case 40:
		return newExchangeMethod(id)
	case 50:
		return newQueueMethod(id)
	case 60:
		return newBasicMethod(id)
	case 85, 90:
		return newModeMethod(id)
	}
	return nil
}

func newConnectionMethod(id methodID) method {
	switch id {
	case idConnectionStart:
		return new(connectionStart)
	case idConnectionStartOk:
		return new(connectionStartOk)
	case idConnectionSecure:
		return new(connectionSecure)
	case idConnectionSecureOk:
		return new(connectionSecureOk)
	case idConnectionTune:
		return new(connectionTune)
	case idConnectionTuneOk:
		return new(connectionTuneOk)
	case idConnectionOpen:
		return new(connectionOpen)
	case idConnectionOpenOk:
		return new(connectionOpenOk)
	case idConnectionClose:
		return new(connectionClose)
	case idConnectionCloseOk:
		return new(connectionCloseOk)
	case idConnectionBlocked:
		return new(connectionBlocked)
	case idConnectionUnblocked:
		return new(connectionUnblocked)
	case idConnectionUpdateSecret:
		return new(connectionUpdateSecret)
	case idConnectionUpdateSecretOk:
		return new(connectionUpdateSecretOk)
	}
	return nil
}

func newChannelMethod(id methodID) method {
	switch id {
	case idChannelOpen:
		return new(channelOpen)
	case idChannelOpenOk:
		return new(channelOpenOk)
	case idChannelFlow:
		return new(channelFlow)
	case idChannelFlowOk:
		return new(channelFlowOk)
	case idChannelClose:
		return new(channelClose)
	case idChannelCloseOk:
		return new(channelCloseOk)
	case idAccessRequest:
		return new(accessRequest)
	case idAccessRequestOk:
		return new(accessRequestOk)
	}
	return nil
}

func newExchangeMethod(id methodID) method {
	switch id {
	case idExchangeDeclare:
		return new(exchangeDeclare)
	case idExchangeDeclareOk:
		return new(exchangeDeclareOk)
	case idExchangeDelete:
		return new(exchangeDelete)
	case idExchangeDeleteOk:
		return new(exchangeDeleteOk)
	case idExchangeBind:
		return new(exchangeBind)
	case idExchangeBindOk:
		return new(exchangeBindOk)
	case idExchangeUnbind:
		return new(exchangeUnbind)
	case idExchangeUnbindOk:
		return new(exchangeUnbindOk)
	}
	return nil
}

func newQueueMethod(id methodID) method {
	switch id {
	case idQueueDeclare:
		return new(queueDeclare)
	case idQueueDeclareOk:
		return new(queueDeclareOk)
	case idQueueBind:
		return new(queueBind)
	case idQueueBindOk:
		return new(queueBindOk)
	case idQueuePurge:
		return new(queuePurge)
	case idQueuePurgeOk:
		return new(queuePurgeOk)
	case idQueueDelete:
		return new(queueDelete)
	case idQueueDeleteOk:
		return new(queueDeleteOk)
	case idQueueUnbind:
		return new(queueUnbind)
	case idQueueUnbindOk:
		return new(queueUnbindOk)
	}
	return nil
}

func newBasicMethod(id methodID) method {
	switch id {
	case idBasicQos:
		return new(basicQos)
	case idBasicQosOk:
		return new(basicQosOk)
	case idBasicConsume:
		return new(basicConsume)
	case idBasicConsumeOk:
		return new(basicConsumeOk)
	case idBasicCancel:
		return new(basicCancel)
	case idBasicCancelOk:
		return new(basicCancelOk)
	case idBasicPublish:
		return new(basicPublish)
	case idBasicReturn:
		return new(basicReturn)
	case idBasicDeliver:
		return new(basicDeliver)
	case idBasicGet:
		return new(basicGet)
	case idBasicGetOk:
		return new(basicGetOk)
	case idBasicGetEmpty:
		return new(basicGetEmpty)
	case idBasicAck:
		return new(basicAck)
	case idBasicReject:
		return new(basicReject)
	case idBasicRecoverAsync:
		return new(basicRecoverAsync)
	case idBasicRecover:
		return new(basicRecover)
	case idBasicRecoverOk:
		return new(basicRecoverOk)
	case idBasicNack:
		return new(basicNack)
	}
	return nil
}

func newModeMethod(id methodID) method {
	switch id {
	case idConfirmSelect:
		return new(confirmSelect)
	case idConfirmSelectOk:
		return new(confirmSelectOk)
	case idTxSelect:
		return new(txSelect)
	case idTxSelectOk:
		return new(txSelectOk)
	case idTxCommit:
		return new(txCommit)
	case idTxCommitOk:
		return new(txCommitOk)
	case idTxRollback:
		return new(txRollback)
	case idTxRollbackOk:
		return new(txRollbackOk)
	}
	return nil
}
