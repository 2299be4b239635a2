package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

type item = map[string]types.AttributeValue

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
func num(n int) types.AttributeValue    { return &types.AttributeValueMemberN{Value: fmt.Sprint(n)} }

func (p *program) tables() {
	p.do("tables", func() (string, error) { return "", p.table(&p.name) })
	p.do("items", p.items)
	p.do("conditional", p.conditional)
	p.do("queries", p.queries)
	p.do("batches", p.batches)
	p.do("transactions", p.transactions)
}

// table makes a table, and waits for it.
func (p *program) table(name *string) error {
	_, err := p.dynamo.CreateTable(p.ctx, &dynamodb.CreateTableInput{TableName: name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: "S"}, {AttributeName: aws.String("sk"), AttributeType: "N"}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String("pk"), KeyType: "HASH"}, {AttributeName: aws.String("sk"), KeyType: "RANGE"}}})
	if err != nil {
		return err
	}
	return dynamodb.NewTableExistsWaiter(p.dynamo, func(o *dynamodb.TableExistsWaiterOptions) { o.MinDelay = 50 * time.Millisecond }).
		Wait(p.ctx, &dynamodb.DescribeTableInput{TableName: name}, time.Minute)
}

func key(pk string, sk int) item { return item{"pk": str(pk), "sk": num(sk)} }

func (p *program) items() (string, error) {
	in := item{"pk": str("a"), "sk": num(1), "name": str("Ann ☃"), "n": num(7), "b": &types.AttributeValueMemberB{Value: []byte{0, 1, 255}},
		"ok": &types.AttributeValueMemberBOOL{Value: true}, "none": &types.AttributeValueMemberNULL{Value: true},
		"set": &types.AttributeValueMemberSS{Value: []string{"x", "y"}}, "list": &types.AttributeValueMemberL{Value: []types.AttributeValue{str("x"), num(2)}},
		"map": &types.AttributeValueMemberM{Value: item{"in": str("side")}}}
	if _, err := p.dynamo.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &p.name, Item: in}); err != nil {
		return "", err
	}
	if _, err := p.dynamo.UpdateItem(p.ctx, &dynamodb.UpdateItemInput{TableName: &p.name, Key: key("a", 1), UpdateExpression: aws.String("SET #n = #n + :one REMOVE #none"),
		ExpressionAttributeNames: map[string]string{"#n": "n", "#none": "none"}, ExpressionAttributeValues: item{":one": num(1)}}); err != nil {
		return "", err
	}
	out, err := p.dynamo.GetItem(p.ctx, &dynamodb.GetItemInput{TableName: &p.name, Key: key("a", 1), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return "", err
	}
	if _, err := p.dynamo.DeleteItem(p.ctx, &dynamodb.DeleteItemInput{TableName: &p.name, Key: key("a", 1)}); err != nil {
		return "", err
	}
	n, _ := out.Item["n"].(*types.AttributeValueMemberN)
	b, _ := out.Item["b"].(*types.AttributeValueMemberB)
	if n == nil || b == nil {
		return "", fmt.Errorf("%v", out.Item)
	}
	return fmt.Sprint(len(out.Item), n.Value, b.Value), nil
}

func (p *program) conditional() (string, error) {
	put := func() error {
		_, err := p.dynamo.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &p.name, Item: key("once", 1), ConditionExpression: aws.String("attribute_not_exists(pk)")})
		return err
	}
	if err := put(); err != nil {
		return "", err
	}
	err := put()
	var typed *types.ConditionalCheckFailedException
	if !errors.As(err, &typed) {
		return "", fmt.Errorf("not typed: %w", err)
	}
	return typed.ErrorMessage(), nil
}

func (p *program) queries() (string, error) {
	for i := range 5 {
		it := key("q", i)
		it["name"] = str(fmt.Sprint("n", i))
		if _, err := p.dynamo.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &p.name, Item: it}); err != nil {
			return "", err
		}
	}
	saw := ""
	pages := dynamodb.NewQueryPaginator(p.dynamo, &dynamodb.QueryInput{TableName: &p.name, Limit: aws.Int32(2), KeyConditionExpression: aws.String("pk = :p AND sk > :s"),
		FilterExpression: aws.String("#n <> :x"), ProjectionExpression: aws.String("sk, #n"), ExpressionAttributeNames: map[string]string{"#n": "name"},
		ExpressionAttributeValues: item{":p": str("q"), ":s": num(0), ":x": str("n3")}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(p.ctx)
		if err != nil {
			return "", err
		}
		for _, it := range page.Items {
			saw += it["name"].(*types.AttributeValueMemberS).Value + " "
		}
	}
	out, err := p.dynamo.Scan(p.ctx, &dynamodb.ScanInput{TableName: &p.name, FilterExpression: aws.String("pk = :p"), ExpressionAttributeValues: item{":p": str("q")}})
	if err != nil {
		return "", err
	}
	return fmt.Sprint(saw, out.Count), nil
}

func (p *program) batches() (string, error) {
	var puts []types.WriteRequest
	var keys []item
	for i := range 3 {
		puts = append(puts, types.WriteRequest{PutRequest: &types.PutRequest{Item: key("b", i)}})
		keys = append(keys, key("b", i))
	}
	if _, err := p.dynamo.BatchWriteItem(p.ctx, &dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{p.name: puts}}); err != nil {
		return "", err
	}
	out, err := p.dynamo.BatchGetItem(p.ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{p.name: {Keys: keys}}})
	if err != nil {
		return "", err
	}
	return "", want(len(out.Responses[p.name]), 3)
}

// transactions are what the emulator does not know: that it says so has to arrive.
func (p *program) transactions() (string, error) {
	_, err := p.dynamo.TransactWriteItems(p.ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []types.TransactWriteItem{{Put: &types.Put{TableName: &p.name, Item: key("t", 1)}}}})
	return "", want(code(err), "UnknownOperationException")
}

func (p *program) queues() {
	var queue *string
	p.do("queues", func() (string, error) {
		if _, err := p.sqs.CreateQueue(p.ctx, &sqs.CreateQueueInput{QueueName: &p.name, Attributes: map[string]string{"VisibilityTimeout": "40"}}); err != nil {
			return "", err
		}
		out, err := p.sqs.GetQueueUrl(p.ctx, &sqs.GetQueueUrlInput{QueueName: &p.name})
		if err != nil {
			return "", err
		}
		queue = out.QueueUrl
		attrs, err := p.sqs.GetQueueAttributes(p.ctx, &sqs.GetQueueAttributesInput{QueueUrl: queue, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
		if err != nil {
			return "", err
		}
		_, err = p.sqs.GetQueueUrl(p.ctx, &sqs.GetQueueUrlInput{QueueName: aws.String(p.name + "-none")})
		var typed *sqstypes.QueueDoesNotExist
		if !errors.As(err, &typed) {
			return "", fmt.Errorf("not typed: %w", err)
		}
		return attrs.Attributes["VisibilityTimeout"], nil
	})
	p.do("messages", func() (string, error) {
		in, err := p.sqs.SendMessage(p.ctx, &sqs.SendMessageInput{QueueUrl: queue, MessageBody: aws.String(`{"card":"snow ☃"}`),
			MessageAttributes: map[string]sqstypes.MessageAttributeValue{"kind": {DataType: aws.String("String"), StringValue: aws.String("order")}}})
		if err != nil {
			return "", err
		}
		out, err := p.receive(queue)
		if err != nil {
			return "", err
		}
		m := out.Messages[0]
		if _, err := p.sqs.DeleteMessage(p.ctx, &sqs.DeleteMessageInput{QueueUrl: queue, ReceiptHandle: m.ReceiptHandle}); err != nil {
			return "", err
		}
		return fmt.Sprint(aws.ToString(in.MD5OfMessageBody), aws.ToString(m.Body), aws.ToString(m.MessageAttributes["kind"].StringValue)), nil
	})
	p.do("message batches", func() (string, error) {
		out, err := p.sqs.SendMessageBatch(p.ctx, &sqs.SendMessageBatchInput{QueueUrl: queue, Entries: []sqstypes.SendMessageBatchRequestEntry{
			{Id: aws.String("1"), MessageBody: aws.String("one")}, {Id: aws.String("2"), MessageBody: aws.String("two")}}})
		if err != nil {
			return "", err
		}
		got, err := p.receive(queue)
		if err != nil {
			return "", err
		}
		if _, err := p.sqs.PurgeQueue(p.ctx, &sqs.PurgeQueueInput{QueueUrl: queue}); err != nil {
			return "", err
		}
		return "", want(fmt.Sprint(len(out.Successful), len(got.Messages) > 0), "2 true")
	})
}

func (p *program) receive(queue *string) (*sqs.ReceiveMessageOutput, error) {
	out, err := p.sqs.ReceiveMessage(p.ctx, &sqs.ReceiveMessageInput{QueueUrl: queue, WaitTimeSeconds: 5, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"}})
	if err == nil && len(out.Messages) == 0 {
		err = errors.New("no message came")
	}
	return out, err
}
