// Command capture writes requests as the SDK for Go sends them. Nothing is asked of AWS. It needs the modules of e2e/cloud/stock:
//
//	cd e2e/cloud/stock && go run ../../../internal/protocol/aws/testdata/capture/gosdk.go ../../../internal/protocol/aws/testdata/captured/gosdk.jsonl
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddb "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3t "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqst "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

type rec struct {
	Method  string      `json:"method"`
	Target  string      `json:"target"`
	Headers [][2]string `json:"headers"`
	Body    string      `json:"body"`
	Call    string      `json:"call"`
}

var last *rec

func main() {
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if last == nil {
			last = &rec{Method: r.Method, Target: r.RequestURI, Body: base64.StdEncoding.EncodeToString(b)}
			for n, v := range r.Header {
				for _, x := range v {
					if n == "User-Agent" {
						x = "aws-sdk-go-v2"
					}
					last.Headers = append(last.Headers, [2]string{n, x})
				}
			}
		}
		w.WriteHeader(400)
	})}}
	srv.Start()
	cfg := aws.Config{Region: "eu-west-1", BaseEndpoint: aws.String(srv.URL), Credentials: credentials.NewStaticCredentialsProvider("any", "any", "THE-TOKEN"), RetryMaxAttempts: 1}
	ctx := context.Background()
	f, _ := os.Create(os.Args[1])
	do := func(call string, run func() error) {
		last = nil
		err := run()
		if last == nil {
			fmt.Fprintln(os.Stderr, call, err)
			return
		}
		last.Call = call
		for i := range last.Headers { // in one order
			for j := i + 1; j < len(last.Headers); j++ {
				if last.Headers[j][0] < last.Headers[i][0] {
					last.Headers[i], last.Headers[j] = last.Headers[j], last.Headers[i]
				}
			}
		}
		b, _ := json.Marshal(last)
		f.Write(append(b, '\n'))
	}
	c := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	B, K := aws.String("reports"), aws.String("a b/ü+1(x)'~.json")
	do("s3.ListBuckets", func() error { _, e := c.ListBuckets(ctx, &s3.ListBucketsInput{}); return e })
	do("s3.ListObjectsV2", func() error {
		_, e := c.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: B, Prefix: aws.String("2026/"), Delimiter: aws.String("/"), MaxKeys: aws.Int32(7)})
		return e
	})
	do("s3.PutObject", func() error {
		_, e := c.PutObject(ctx, &s3.PutObjectInput{Bucket: B, Key: K, Body: strings.NewReader("{}")})
		return e
	})
	do("s3.PutObject, storage class", func() error {
		_, e := c.PutObject(ctx, &s3.PutObjectInput{Bucket: B, Key: K, Body: bytes.NewReader(nil), ACL: s3t.ObjectCannedACLPublicRead, ServerSideEncryption: s3t.ServerSideEncryptionAwsKms})
		return e
	})
	do("s3.GetObject", func() error {
		_, e := c.GetObject(ctx, &s3.GetObjectInput{Bucket: B, Key: K, Range: aws.String("bytes=0-1")})
		return e
	})
	do("s3.HeadObject", func() error {
		_, e := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: B, Key: aws.String("/x//y/")})
		return e
	})
	do("s3.CopyObject", func() error {
		_, e := c.CopyObject(ctx, &s3.CopyObjectInput{Bucket: B, Key: K, CopySource: aws.String("secrets/x%20y%2Fz")})
		return e
	})
	do("s3.DeleteObjects", func() error {
		_, e := c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: B, Delete: &s3t.Delete{Objects: []s3t.ObjectIdentifier{{Key: aws.String("a&b")}}}})
		return e
	})
	do("s3.UploadPart", func() error {
		_, e := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: B, Key: K, UploadId: aws.String("u"), PartNumber: aws.Int32(3), Body: strings.NewReader("x")})
		return e
	})
	do("s3.GetObjectAttributes", func() error {
		_, e := c.GetObjectAttributes(ctx, &s3.GetObjectAttributesInput{Bucket: B, Key: K, ObjectAttributes: []s3t.ObjectAttributes{"ETag"}})
		return e
	})
	p := s3.NewPresignClient(c)
	for _, m := range []string{"GET", "PUT"} {
		var u string
		var h http.Header
		if m == "GET" {
			r, e := p.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: B, Key: K})
			if e != nil {
				panic(e)
			}
			u, h = r.URL, r.SignedHeader
		} else {
			r, e := p.PresignPutObject(ctx, &s3.PutObjectInput{Bucket: B, Key: K, ACL: s3t.ObjectCannedACLPrivate})
			if e != nil {
				panic(e)
			}
			u, h = r.URL, r.SignedHeader
		}
		do("s3.presigned "+m, func() error {
			r, _ := http.NewRequest(m, u, nil)
			for n, v := range h {
				r.Header[n] = v
			}
			_, e := http.DefaultClient.Do(r)
			return e
		})
	}
	d := dynamodb.NewFromConfig(cfg)
	key := map[string]ddb.AttributeValue{"id": &ddb.AttributeValueMemberS{Value: "7"}}
	do("dynamodb.GetItem", func() error {
		_, e := d.GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String("orders"), Key: key})
		return e
	})
	do("dynamodb.Query", func() error {
		_, e := d.Query(ctx, &dynamodb.QueryInput{TableName: aws.String("orders"), KeyConditionExpression: aws.String("#k = :k"), ExpressionAttributeNames: map[string]string{"#k": "id"}, ExpressionAttributeValues: map[string]ddb.AttributeValue{":k": &ddb.AttributeValueMemberS{Value: "7"}}})
		return e
	})
	do("dynamodb.TransactWriteItems", func() error {
		_, e := d.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: []ddb.TransactWriteItem{{Delete: &ddb.Delete{TableName: aws.String("orders"), Key: key}}, {Update: &ddb.Update{TableName: aws.String("customers"), Key: key, UpdateExpression: aws.String("ADD n :n")}}}})
		return e
	})
	q := sqs.NewFromConfig(cfg)
	U := aws.String("https://sqs.eu-west-1.amazonaws.com/123456789012/jobs.fifo")
	do("sqs.SendMessageBatch", func() error {
		_, e := q.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: U, Entries: []sqst.SendMessageBatchRequestEntry{{Id: aws.String("1"), MessageBody: aws.String("x")}}})
		return e
	})
	do("sqs.CreateQueue", func() error {
		_, e := q.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: aws.String("jobs")})
		return e
	})
	do("sts.AssumeRole", func() error {
		_, e := sts.NewFromConfig(cfg).AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::123456789012:role/x"), RoleSessionName: aws.String("me")})
		return e
	})
	f.Close()
}
