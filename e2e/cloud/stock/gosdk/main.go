// Command gosdk does with the AWS SDK for Go what the columns of the matrix in e2e/cloud say, and prints a line of JSON for each.
// It knows nothing of what serves it: its environment says where the endpoint is, as any function's does.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// program is one run.
type program struct {
	ctx    context.Context
	name   string // what everything that it makes is called
	s3     *s3.Client
	dynamo *dynamodb.Client
	sqs    *sqs.Client
	sts    *sts.Client
}

func main() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	cfg.RetryMaxAttempts = 2
	p := &program{ctx, os.Getenv("NAME"), s3.NewFromConfig(cfg), dynamodb.NewFromConfig(cfg), sqs.NewFromConfig(cfg), sts.NewFromConfig(cfg)}
	if len(os.Args) > 1 {
		p.one(os.Args[1:])
		return
	}
	p.objects()
	p.tables()
	p.queues()
	p.do("identity", func() (string, error) {
		out, err := p.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return "", err
		}
		return aws.ToString(out.Account), nil
	})
}

// do runs one feature. What it saw has to be the same whatever serves it.
func (p *program) do(feature string, f func() (string, error)) {
	saw, err := f()
	line := map[string]any{"feature": feature, "ok": err == nil, "saw": saw}
	if err != nil {
		line["detail"] = err.Error()
	}
	out, _ := json.Marshal(line) // of strings
	fmt.Println(string(out))
}

// code is the service's own word for an error.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return fmt.Sprint("not an error of the service: ", err)
}

// want says that something else came.
func want(got, want any) error {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("%.300v, want %.300v", got, want)
	}
	return nil
}

// one does one call and prints what came, or the error's code and message: for tests of refusals and masks.
func (p *program) one(args []string) {
	out, err := p.call(args)
	var api smithy.APIError
	switch {
	case errors.As(err, &api):
		fmt.Printf("%s: %s\n", api.ErrorCode(), api.ErrorMessage())
	case err != nil:
		fmt.Println("not an error of the service:", err)
	default:
		fmt.Println(out)
	}
}
