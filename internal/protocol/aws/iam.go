package aws

import (
	"slices"
	"strings"
)

// prefixOf is what IAM's names of a service's actions begin with: what it is signed for, but for these.
func prefixOf(s *service) string {
	switch s.signing {
	case "monitoring":
		return "cloudwatch"
	case "cloudcontrolapi":
		return "cloudformation"
	case "iotdata", "IoTSecuredTunneling":
		return "iot"
	case "iot-jobs-data":
		return "iotjobsdata"
	case "ioteventsdata":
		return "iotevents"
	case "mturk-requester":
		return "mechanicalturk"
	case "tagging":
		return "tag"
	case "awsssoportal":
		return "sso"
	}
	if strings.HasPrefix(s.signing, "partnercentral-") {
		return "partnercentral"
	}
	return s.signing
}

// renamed are the operations whose action IAM calls otherwise, by service and operation. Several operations may be one action.
var renamed = map[string]string{
	"lambda.Invoke": "InvokeFunction", "lambda.InvokeWithResponseStream": "InvokeFunction", "lambda.GetLayerVersionByArn": "GetLayerVersion",
	"sns.PublishBatch": "Publish", "sqs.SendMessageBatch": "SendMessage", "sqs.DeleteMessageBatch": "DeleteMessage",
	"sqs.ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
	"kms.ReEncrypt":                    "ReEncryptFrom",
	"dynamodb.TransactGetItems":        "GetItem", "dynamodb.TransactWriteItems": "PutItem",
	"dynamodb.ExecuteStatement": "PartiQLSelect", "dynamodb.BatchExecuteStatement": "PartiQLSelect", "dynamodb.ExecuteTransaction": "PartiQLSelect",
	"bedrock-runtime.Converse": "InvokeModel", "bedrock-runtime.ConverseStream": "InvokeModelWithResponseStream",
	"bedrock-runtime.InvokeModelWithBidirectionalStream": "InvokeModelWithResponseStream", "bedrock-runtime.StartAsyncInvoke": "InvokeModel",
	"cloudfront.CreateDistributionWithTags": "CreateDistribution", "timestream-query.Query": "Select",
	"apigatewaymanagementapi.PostToConnection": "ManageConnections", "apigatewaymanagementapi.GetConnection": "ManageConnections",
	"apigatewaymanagementapi.DeleteConnection": "ManageConnections",

	"s3.CompleteMultipartUpload": "PutObject", "s3.CopyObject": "PutObject", "s3.CreateMultipartUpload": "PutObject", "s3.UploadPart": "PutObject",
	"s3.UploadPartCopy": "PutObject", "s3.CreateBucketMetadataConfiguration": "CreateBucketMetadataTableConfiguration",
	"s3.DeleteBucketAnalyticsConfiguration": "PutAnalyticsConfiguration", "s3.DeleteBucketCors": "PutBucketCORS",
	"s3.DeleteBucketEncryption": "PutEncryptionConfiguration", "s3.DeleteBucketIntelligentTieringConfiguration": "PutIntelligentTieringConfiguration",
	"s3.DeleteBucketInventoryConfiguration": "PutInventoryConfiguration", "s3.DeleteBucketLifecycle": "PutLifecycleConfiguration",
	"s3.DeleteBucketMetadataConfiguration": "DeleteBucketMetadataTableConfiguration", "s3.DeleteBucketMetricsConfiguration": "PutMetricsConfiguration",
	"s3.DeleteBucketOwnershipControls": "PutBucketOwnershipControls", "s3.DeleteBucketReplication": "PutReplicationConfiguration",
	"s3.DeleteBucketTagging": "PutBucketTagging", "s3.DeleteObjects": "DeleteObject", "s3.DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
	"s3.GetBucketAccelerateConfiguration": "GetAccelerateConfiguration", "s3.GetBucketAnalyticsConfiguration": "GetAnalyticsConfiguration",
	"s3.GetBucketCors": "GetBucketCORS", "s3.GetBucketEncryption": "GetEncryptionConfiguration",
	"s3.GetBucketIntelligentTieringConfiguration": "GetIntelligentTieringConfiguration", "s3.GetBucketInventoryConfiguration": "GetInventoryConfiguration",
	"s3.GetBucketLifecycle": "GetLifecycleConfiguration", "s3.GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
	"s3.GetBucketMetadataConfiguration": "GetBucketMetadataTableConfiguration", "s3.GetBucketMetricsConfiguration": "GetMetricsConfiguration",
	"s3.GetBucketNotificationConfiguration": "GetBucketNotification", "s3.GetBucketReplication": "GetReplicationConfiguration",
	"s3.GetObjectLockConfiguration": "GetBucketObjectLockConfiguration", "s3.GetPublicAccessBlock": "GetBucketPublicAccessBlock",
	"s3.HeadBucket": "ListBucket", "s3.HeadObject": "GetObject", "s3.ListBucketAnalyticsConfigurations": "GetAnalyticsConfiguration",
	"s3.ListBucketIntelligentTieringConfigurations": "GetIntelligentTieringConfiguration", "s3.ListBucketInventoryConfigurations": "GetInventoryConfiguration",
	"s3.ListBucketMetricsConfigurations": "GetMetricsConfiguration", "s3.ListBuckets": "ListAllMyBuckets",
	"s3.ListDirectoryBuckets": "ListAllMyDirectoryBuckets", "s3.ListMultipartUploads": "ListBucketMultipartUploads",
	"s3.ListObjectVersions": "ListBucketVersions", "s3.ListObjects": "ListBucket", "s3.ListObjectsV2": "ListBucket", "s3.ListParts": "ListMultipartUploadParts",
	"s3.PutBucketAccelerateConfiguration": "PutAccelerateConfiguration", "s3.PutBucketAnalyticsConfiguration": "PutAnalyticsConfiguration",
	"s3.PutBucketCors": "PutBucketCORS", "s3.PutBucketEncryption": "PutEncryptionConfiguration",
	"s3.PutBucketIntelligentTieringConfiguration": "PutIntelligentTieringConfiguration", "s3.PutBucketInventoryConfiguration": "PutInventoryConfiguration",
	"s3.PutBucketLifecycle": "PutLifecycleConfiguration", "s3.PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
	"s3.PutBucketMetricsConfiguration": "PutMetricsConfiguration", "s3.PutBucketNotificationConfiguration": "PutBucketNotification",
	"s3.PutBucketReplication": "PutReplicationConfiguration", "s3.PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
	"s3.PutPublicAccessBlock": "PutBucketPublicAccessBlock", "s3.SelectObjectContent": "GetObject",
	"s3.UpdateBucketMetadataInventoryTableConfiguration": "UpdateBucketMetadataInventoryTableConfiguration",
}

// extra are actions of IAM that no operation is called after, but that calls need besides their own.
var extra = []string{
	"s3:GetObjectVersion", "s3:DeleteObjectVersion", "s3:GetObjectVersionAcl", "s3:PutObjectVersionAcl", "s3:GetObjectVersionTagging",
	"s3:PutObjectVersionTagging", "s3:DeleteObjectVersionTagging", "s3:GetObjectVersionAttributes", "s3:BypassGovernanceRetention",
	"iam:PassRole", "kms:ReEncryptTo", "dynamodb:ConditionCheckItem", "dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate", "dynamodb:PartiQLDelete",
	"apigateway:GET", "apigateway:POST", "apigateway:PUT", "apigateway:PATCH", "apigateway:DELETE", "budgets:ViewBudget", "budgets:ModifyBudget",
}

// iamName is IAM's name of the action behind an operation, with its prefix. Calls may need others besides: see touches.
func iamName(o *operation) string {
	s := o.service
	switch name := renamed[s.id+"."+o.name]; {
	case name != "":
		return s.prefix + ":" + name
	case s.prefix == "apigateway":
		return "apigateway:" + o.method
	case s.id == "budgets" && !strings.HasSuffix(o.name, "Resource") && !strings.Contains(o.name, "BudgetAction"):
		if strings.HasPrefix(o.name, "Describe") {
			return "budgets:ViewBudget"
		}
		return "budgets:ModifyBudget"
	}
	return s.prefix + ":" + o.name
}

// actionNames is every action that calls can have, sorted.
func (m *models) actionNames() []string {
	names := make([]string, 0, 20_000)
	names = append(names, extra...)
	for _, s := range m.services {
		for _, o := range s.operations {
			names = append(names, iamName(o))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
