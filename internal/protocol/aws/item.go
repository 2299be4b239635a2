package aws

import (
	"slices"
	"strings"
)

// items is DynamoDB: tables and indexes. Batches and transactions ask for each of theirs, as IAM does.
func (c *call) items() error {
	o := c.operation.name
	switch o {
	case "BatchGetItem", "BatchWriteItem":
		return c.onTables(iamName(c.operation), find(c.input, "RequestItems.*key")...)
	case "TransactGetItems":
		return c.onTables("dynamodb:GetItem", find(c.input, "TransactItems.*.Get.TableName")...)
	case "TransactWriteItems":
		for verb, action := range map[string]string{
			"Put": "dynamodb:PutItem", "Delete": "dynamodb:DeleteItem", "Update": "dynamodb:UpdateItem", "ConditionCheck": "dynamodb:ConditionCheckItem",
		} {
			if err := c.onTables(action, find(c.input, "TransactItems.*."+verb+".TableName")...); err != nil {
				return err
			}
		}
		return c.transacted()
	case "ExecuteStatement":
		return c.statements(find(c.input, "Statement"))
	case "BatchExecuteStatement":
		return c.statements(find(c.input, "Statements.*.Statement"))
	case "ExecuteTransaction":
		return c.statements(find(c.input, "TransactStatements.*.Statement"))
	case "GetRecords":
		// The iterator names the stream that it was made for.
		parts := strings.Split(text(c.input, "ShardIterator"), "|")
		parts = slices.DeleteFunc(parts, func(s string) bool { return !strings.HasPrefix(s, "arn:") })
		if len(parts) == 1 {
			return c.stream(parts[0])
		}
		return malformed("the ShardIterator does not say which stream it is of")
	}
	return c.table()
}

// indexed are the calls that have an IndexName. To others it is a word that DynamoDB does not look at.
var indexed = []string{"Query", "Scan", "DescribeContributorInsights", "UpdateContributorInsights"}

// table is for the calls that name one table.
func (c *call) table() error {
	action := iamName(c.operation)
	for _, path := range [...]string{"TableName", "GlobalTableName", "SourceTableName", "TargetTableName", "TableArn", "SourceTableArn", "TableCreationParameters.TableName"} {
		for _, name := range find(c.input, path) {
			arn, err := c.tableARN(name)
			if err != nil {
				return err
			}
			if path == "GlobalTableName" {
				arn = c.global("dynamodb", "global-table/"+name)
			}
			if index := text(c.input, "IndexName"); index != "" && slices.Contains(indexed, c.operation.name) {
				arn += "/index/" + index
			}
			c.as(action, arn)
		}
	}
	for _, path := range [...]string{"StreamArn", "BackupArn", "ExportArn", "ImportArn", "ResourceArn"} {
		for _, arn := range find(c.input, path) {
			if err := c.stream(arn); err != nil {
				return err
			}
		}
	}
	return nil
}

// stream is for what has the table in its ARN: streams, backups, exports.
func (c *call) stream(arn string) error {
	filled, err := c.fill("dynamodb:{}", arn)
	if err != nil {
		return err
	}
	a, ok := parseARN(filled)
	if !ok {
		return malformed("a parameter of %s is no ARN", c.operation.name)
	}
	c.on(filled)
	if parts := strings.Split(a.resource, "/"); len(parts) > 1 && parts[0] == "table" {
		c.named(strings.TrimSuffix(filled, a.resource) + "table/" + parts[1])
	}
	return nil
}

// tableARN is the ARN of a table that is named by name or by ARN.
func (c *call) tableARN(name string) (string, error) {
	arn, err := c.fill("dynamodb:table/{}", name)
	if err != nil {
		return "", err
	}
	if a, ok := parseARN(arn); !ok || !strings.HasPrefix(a.resource, "table/") {
		return "", malformed("a parameter of %s is an ARN, but of no table", c.operation.name)
	}
	c.named(arn)
	return arn, nil
}

// named notes a table: masks of it bind what the call says and returns.
func (c *call) named(table string) {
	if len(c.tables) < maxTouches && !slices.Contains(c.tables, table) {
		c.tables = append(c.tables, table)
	}
}

func (c *call) onTables(action string, names ...string) error {
	for _, name := range names {
		arn, err := c.tableARN(name)
		if err != nil {
			return err
		}
		c.as(action, arn)
	}
	return nil
}

// transacted refuses items of a transaction that are none of what is understood.
func (c *call) transacted() error {
	list, ok := c.input["TransactItems"].([]any)
	if !ok {
		return malformed("TransactItems is no list")
	}
	for _, item := range list {
		m, _ := item.(map[string]any)
		if len(m) != 1 {
			return malformed("an item of the transaction is not one of Put, Update, Delete, ConditionCheck")
		}
		for verb, inner := range m {
			if !slices.Contains([]string{"Put", "Update", "Delete", "ConditionCheck"}, verb) || text(inner, "TableName") == "" {
				return malformed("an item of the transaction is not one of Put, Update, Delete, ConditionCheck with a table")
			}
		}
	}
	return nil
}

// statements is PartiQL: each text is one statement on one table.
func (c *call) statements(texts []string) error {
	if len(texts) == 0 {
		return malformed("%s has no statement", c.operation.name)
	}
	for _, t := range texts {
		s, err := readPartiQL(t)
		if err != nil {
			return err
		}
		arn, err := c.tableARN(s.table)
		if err != nil {
			return err
		}
		if s.index != "" {
			arn += "/index/" + s.index
		}
		c.as("dynamodb:PartiQL"+s.verb, arn)
	}
	return nil
}
