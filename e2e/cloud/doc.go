// Package cloud is an AWS account that stands still: servers of AWS APIs that others wrote (versitygw and fauxqs for S3, dynalite
// for DynamoDB, fauxqs and GoAWS for SQS' two protocols), and a fake of STS, behind one address that checks the signature of every
// request and keeps what arrived. Start starts it. The package also holds the matrix of stock clients (`make clients-aws`): each
// runs against the servers themselves and through the gateway, and has to see the same. TestClients runs those that every build has.
//
// The check of signatures is this package's own (sigv4.go): it shares no code with what signs in the gateway, and the stock
// clients prove it, since all of them sign here when they call the servers themselves; TestForged is about what it turns away.
package cloud
