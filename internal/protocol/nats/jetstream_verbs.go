package nats

import "gatehouse/internal/wire"

// The actions of JetStream. Those of messages are beside them, since calls ask for them too.
const (
	actPublish   = "nats:Publish"
	actSubscribe = "nats:Subscribe"
	actDeliver   = "nats:Deliver"
	actOpaque    = "nats:Opaque"

	actRollup   = "nats:Rollup"
	actSchedule = "nats:Schedule"

	actCreateStream   = "nats:CreateStream"
	actUpdateStream   = "nats:UpdateStream"
	actDeleteStream   = "nats:DeleteStream"
	actPurgeStream    = "nats:PurgeStream"
	actStreamInfo     = "nats:StreamInfo"
	actListStreams    = "nats:ListStreams"
	actGetMessage     = "nats:GetMessage"
	actDeleteMessage  = "nats:DeleteMessage"
	actSnapshotStream = "nats:SnapshotStream"
	actRestoreStream  = "nats:RestoreStream"

	actCreateConsumer = "nats:CreateConsumer"
	actDeleteConsumer = "nats:DeleteConsumer"
	actPauseConsumer  = "nats:PauseConsumer"
	actConsumerInfo   = "nats:ConsumerInfo"
	actListConsumers  = "nats:ListConsumers"
	actConsume        = "nats:Consume"
	actAck            = "nats:Ack"

	actAccountInfo   = "nats:AccountInfo"
	actManageCluster = "nats:ManageCluster"
)

// jetstreamVerbs is the part of the closed list that JetStream has.
func jetstreamVerbs() []wire.Verb {
	return []wire.Verb{
		{Name: actRollup, About: "a publish that removes what was stored before (`Nats-Rollup`), on the subjects that it empties; nats:Publish comes with it"},
		{Name: actSchedule, About: "a publish that the server sends on by itself later (`Nats-Schedule`); nats:Publish on the target, and nats:Subscribe on the source, come with it"},
		{Name: actCreateStream, About: "making a stream; what its configuration does needs permission too: nats:Subscribe on the subjects that it captures, nats:Consume on streams that it copies, nats:Publish on subjects that it writes"},
		{Name: actUpdateStream, About: "changing a stream, as nats:CreateStream; where the new limits may remove messages, nats:PurgeStream counts too for deny and approve"},
		{Name: actDeleteStream, About: "removing a stream with its messages"},
		{Name: actPurgeStream, About: "removing messages of a stream; `action.bounded` is false where it is all of them"},
		{Name: actStreamInfo, About: "reading the configuration and state of a stream, and the names of its subjects"},
		{Name: actListStreams, About: "listing streams, on `connection/stream`"},
		{Name: actGetMessage, About: "reading a message of a stream by its number or its subject"},
		{Name: actDeleteMessage, About: "removing a message of a stream by its number"},
		{Name: actSnapshotStream, About: "a backup of a stream: refused where masks bind its messages"},
		{Name: actRestoreStream, About: "making a stream of a backup; as nats:CreateStream, and nats:Publish on its subjects counts too for deny and approve"},
		{Name: actCreateConsumer, About: "making or changing a consumer; nats:Publish on its deliver subject comes with it, unless that is an inbox of the session's own"},
		{Name: actDeleteConsumer, About: "removing a consumer"},
		{Name: actPauseConsumer, About: "pausing or resuming a consumer, unpinning its client, or having another server lead it"},
		{Name: actConsumerInfo, About: "reading the configuration and state of a consumer"},
		{Name: actListConsumers, About: "listing the consumers of a stream"},
		{Name: actConsume, About: "being delivered the messages of a consumer, or copying those of a stream into another"},
		{Name: actAck, Implied: true, About: "acknowledging a message that the session was delivered, or answering flow control; of another one it is nats:Consume"},
		{Name: actAccountInfo, Implied: true, About: "reading the counts and limits of the account"},
		{Name: actManageCluster, About: "having another server lead, moving streams, removing servers and peers"},
	}
}
