package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func clientOf(pem []byte) *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
}

// call does one call: its name, and what it is about.
func (p *program) call(args []string) (any, error) {
	about := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	switch bucket, k := about(1), about(2); args[0] {
	case "get":
		p.name = bucket
		body, _, err := p.get(k)
		return body, err
	case "head":
		out, err := p.s3.HeadObject(p.ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &k})
		if err != nil {
			return nil, err
		}
		return aws.ToInt64(out.ContentLength), nil
	case "put":
		_, err := p.s3.PutObject(p.ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &k, Body: strings.NewReader(about(3)), ContentType: aws.String(mime.TypeByExtension(path.Ext(k)))})
		return "done", err
	case "delete":
		_, err := p.s3.DeleteObject(p.ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &k})
		return "done", err
	case "list":
		out, err := p.s3.ListObjectsV2(p.ctx, &s3.ListObjectsV2Input{Bucket: &bucket})
		if err != nil {
			return nil, err
		}
		return len(out.Contents), nil
	case "copy":
		_, err := p.s3.CopyObject(p.ctx, &s3.CopyObjectInput{Bucket: &bucket, Key: &k, CopySource: aws.String(about(3))})
		return "done", err
	case "presign":
		p.name = bucket
		u, err := p.presign(k)
		if err != nil {
			return nil, err
		}
		return u.URL, nil
	case "large":
		p.name = bucket
		size, err := strconv.ParseInt(k, 10, 64)
		if err != nil {
			return nil, err
		}
		return "same", p.large(size)
	}
	return p.other(args[0], about(1), about(2), about(3), args)
}

// other is a call of what is no object.
func (p *program) other(call, name, k, value string, args []string) (any, error) {
	switch call {
	case "item":
		out, err := p.dynamo.GetItem(p.ctx, &dynamodb.GetItemInput{TableName: &name, Key: key(k, 1)})
		if err != nil {
			return nil, err
		}
		raw, err := json.Marshal(out.Item)
		return string(raw), err
	case "receive":
		u, err := p.sqs.GetQueueUrl(p.ctx, &sqs.GetQueueUrlInput{QueueName: &name})
		if err != nil {
			return nil, err
		}
		out, err := p.receive(u.QueueUrl)
		if err != nil {
			return nil, err
		}
		return aws.ToString(out.Messages[0].Body), nil
	case "make":
		return "done", p.make(name)
	case "add":
		it := key(k, 1)
		for i := 3; i+1 < len(args); i += 2 {
			it[args[i]] = str(args[i+1])
		}
		_, err := p.dynamo.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &name, Item: it})
		return "done", err
	case "find":
		out, err := p.dynamo.Scan(p.ctx, &dynamodb.ScanInput{TableName: &name, FilterExpression: aws.String("#a = :v"), ExpressionAttributeNames: map[string]string{"#a": k},
			ExpressionAttributeValues: item{":v": str(value)}})
		if err != nil {
			return nil, err
		}
		return out.Count, nil
	case "send":
		u, err := p.sqs.GetQueueUrl(p.ctx, &sqs.GetQueueUrlInput{QueueName: &name})
		if err != nil {
			return nil, err
		}
		_, err = p.sqs.SendMessage(p.ctx, &sqs.SendMessageInput{QueueUrl: u.QueueUrl, MessageBody: &k})
		return "done", err
	case "whoami":
		out, err := p.sts.GetCallerIdentity(p.ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return nil, err
		}
		return aws.ToString(out.Arn), nil
	case "assume":
		_, err := p.sts.AssumeRole(p.ctx, &sts.AssumeRoleInput{RoleArn: &name, RoleSessionName: aws.String("me")})
		return "done", err
	}
	return nil, fmt.Errorf("no call %q", call)
}

// make makes a bucket, a table and a queue of one name. Messages of the queue can be received again at once.
func (p *program) make(name string) error {
	if _, err := p.s3.CreateBucket(p.ctx, &s3.CreateBucketInput{Bucket: &name}); err != nil {
		return err
	}
	if err := p.table(&name); err != nil {
		return err
	}
	_, err := p.sqs.CreateQueue(p.ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"VisibilityTimeout": "0"}})
	return err
}
