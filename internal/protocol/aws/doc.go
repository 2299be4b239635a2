// Package aws understands calls of AWS's services, for the gate: which action of IAM they are on which resource, by which
// parameters; signs them again as somebody whom the account knows; and masks what comes back.
//
// Sources: the service descriptions that botocore publishes (names, paths, places of parameters; scripts/awsmodels makes
// models/services.txt.gz of them), https://smithy.io/2.0/aws/protocols/index.html (how calls are written),
// https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html (what IAM calls them),
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html (signatures).
//
// What is understood: JSON 1.0 and 1.1, Query, EC2, REST-JSON, REST-XML and RPC over CBOR, of every service in the table; S3 by
// path and by host. What is not is the action aws:Opaque on the service's whole account: unknown services and operations,
// query parameters that an operation does not have, calls that send a stream of events. What can be read in two ways is
// refused: parameters that stand twice, dot segments, escapes, bytes that are no UTF-8.
//
// The client's own signature is not checked, because nobody could: its secret is any word. Who calls is what its token says,
// which stands where the session token of temporary credentials goes.
//
// Where to read:
//
//   - its frame: protocol.go (what the protocol is), relay.go (one call), outgoing.go (what is sent), answer.go, refuse.go
//   - which operation it is: model.go (the table), shelf.go (tables that connections bring along), scope.go (what the signature is for), route.go (head and path), decode.go
//     and cbor.go (parameters)
//   - what it does to what: iam.go (names of actions), arn.go, object.go (S3), item.go and partiql.go (DynamoDB), keys.go
//     (condition keys), expression.go (attributes that DynamoDB's expressions read), elsewhere.go (what services do for who calls), call.go,
//     understand.go, statement.go
//   - as whom it is sent: sign.go, sigv4a.go, roles.go (roles that are assumed), frames.go (bodies in signed chunks)
//   - how policies of IAM are written and read: export_iam.go, import_iam.go, import_resource.go, import_condition.go
//   - what is hidden: masks.go (what, and which calls would tell of it), hide.go (values), masked.go (answers), listing.go (objects in lists), queue.go (URLs of queues),
//     scrub.go (the credential), meter.go (what counts against budgets)
package aws
