// SPDX-License-Identifier: Apache-2.0
//
// aws_policies: AWS managed policies that users of Lambda and API Gateway attach ("AWS managed policy reference"), with
// what they say about the services that are here; statements about services that are not are shortened. Sorted by name.
#include "services/iam/internal.h"

// clang-format off: one row each, however long
const struct sl_iam__aws_policy sl_iam__aws_policies[] = {
    {SL_STR_INIT("/service-role/"), SL_STR_INIT("AWSLambdaBasicExecutionRole"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"logs:CreateLogGrou"
                 "p\",\"logs:CreateLogStream\",\"logs:PutLogEvents\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/service-role/"), SL_STR_INIT("AWSLambdaDynamoDBExecutionRole"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"dynamodb:DescribeS"
                 "tream\",\"dynamodb:GetRecords\",\"dynamodb:GetShardIterator\",\"dynamodb:ListStreams\",\"log"
                 "s:CreateLogGroup\",\"logs:CreateLogStream\",\"logs:PutLogEvents\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("AWSLambdaExecute"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"logs:*\"],\"Resource"
                 "\":\"arn:aws:logs:*:*:*\"},{\"Effect\":\"Allow\",\"Action\":[\"s3:GetObject\",\"s3:PutObject\"],\""
                 "Resource\":\"arn:aws:s3:::*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("AWSLambdaInvocation-DynamoDB"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"lambda:InvokeFunct"
                 "ion\"],\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":[\"dynamodb:DescribeStream\",\"dynamod"
                 "b:GetRecords\",\"dynamodb:GetShardIterator\",\"dynamodb:ListStreams\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/service-role/"), SL_STR_INIT("AWSLambdaKinesisExecutionRole"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"kinesis:DescribeSt"
                 "ream\",\"kinesis:DescribeStreamSummary\",\"kinesis:GetRecords\",\"kinesis:GetShardIterator"
                 "\",\"kinesis:ListShards\",\"kinesis:ListStreams\",\"kinesis:SubscribeToShard\",\"logs:Create"
                 "LogGroup\",\"logs:CreateLogStream\",\"logs:PutLogEvents\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/service-role/"), SL_STR_INIT("AWSLambdaMSKExecutionRole"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"kafka:DescribeClus"
                 "ter\",\"kafka:DescribeClusterV2\",\"kafka:GetBootstrapBrokers\",\"ec2:CreateNetworkInterfa"
                 "ce\",\"ec2:DescribeNetworkInterfaces\",\"ec2:DescribeVpcs\",\"ec2:DeleteNetworkInterface\","
                 "\"ec2:DescribeSubnets\",\"ec2:DescribeSecurityGroups\",\"logs:CreateLogGroup\",\"logs:Creat"
                 "eLogStream\",\"logs:PutLogEvents\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/service-role/"), SL_STR_INIT("AWSLambdaRole"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"lambda:InvokeFunct"
                 "ion\"],\"Resource\":[\"*\"]}]}")},
    {SL_STR_INIT("/service-role/"), SL_STR_INIT("AWSLambdaSQSQueueExecutionRole"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"sqs:ReceiveMessage"
                 "\",\"sqs:DeleteMessage\",\"sqs:GetQueueAttributes\",\"logs:CreateLogGroup\",\"logs:CreateLog"
                 "Stream\",\"logs:PutLogEvents\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/service-role/"), SL_STR_INIT("AWSLambdaVPCAccessExecutionRole"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"logs:CreateLogGrou"
                 "p\",\"logs:CreateLogStream\",\"logs:PutLogEvents\",\"ec2:CreateNetworkInterface\",\"ec2:Desc"
                 "ribeNetworkInterfaces\",\"ec2:DescribeSubnets\",\"ec2:DeleteNetworkInterface\",\"ec2:Assig"
                 "nPrivateIpAddresses\",\"ec2:UnassignPrivateIpAddresses\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("AWSLambda_FullAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"cloudformation:Des"
                 "cribeStacks\",\"cloudformation:ListStackResources\",\"cloudwatch:ListMetrics\",\"cloudwatc"
                 "h:GetMetricData\",\"ec2:DescribeSecurityGroups\",\"ec2:DescribeSubnets\",\"ec2:DescribeVpc"
                 "s\",\"kms:ListAliases\",\"iam:GetPolicy\",\"iam:GetPolicyVersion\",\"iam:GetRole\",\"iam:GetRo"
                 "lePolicy\",\"iam:ListAttachedRolePolicies\",\"iam:ListRolePolicies\",\"iam:ListRoles\",\"lam"
                 "bda:*\",\"logs:DescribeLogGroups\",\"states:DescribeStateMachine\",\"states:ListStateMachi"
                 "nes\",\"tag:GetResources\",\"xray:GetTraceSummaries\",\"xray:BatchGetTraces\"],\"Resource\":\""
                 "*\"},{\"Effect\":\"Allow\",\"Action\":\"iam:PassRole\",\"Resource\":\"*\",\"Condition\":{\"StringEqu"
                 "als\":{\"iam:PassedToService\":\"lambda.amazonaws.com\"}}},{\"Effect\":\"Allow\",\"Action\":[\"l"
                 "ogs:DescribeLogStreams\",\"logs:GetLogEvents\",\"logs:FilterLogEvents\",\"logs:StartLiveTa"
                 "il\",\"logs:StopLiveTail\"],\"Resource\":\"arn:aws:logs:*:*:log-group:/aws/lambda/*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("AWSLambda_ReadOnlyAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"cloudformation:Des"
                 "cribeStacks\",\"cloudformation:ListStackResources\",\"cloudwatch:GetMetricData\",\"cloudwa"
                 "tch:ListMetrics\",\"ec2:DescribeSecurityGroups\",\"ec2:DescribeSubnets\",\"ec2:DescribeVpc"
                 "s\",\"kms:ListAliases\",\"iam:GetPolicy\",\"iam:GetPolicyVersion\",\"iam:GetRole\",\"iam:GetRo"
                 "lePolicy\",\"iam:ListAttachedRolePolicies\",\"iam:ListRolePolicies\",\"iam:ListRoles\",\"log"
                 "s:DescribeLogGroups\",\"lambda:Get*\",\"lambda:List*\",\"states:DescribeStateMachine\",\"sta"
                 "tes:ListStateMachines\",\"tag:GetResources\",\"xray:GetTraceSummaries\",\"xray:BatchGetTra"
                 "ces\"],\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":[\"logs:DescribeLogStreams\",\"logs:Ge"
                 "tLogEvents\",\"logs:FilterLogEvents\",\"logs:StartLiveTail\",\"logs:StopLiveTail\"],\"Resour"
                 "ce\":\"arn:aws:logs:*:*:log-group:/aws/lambda/*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("AWSXRayDaemonWriteAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"xray:PutTraceSegme"
                 "nts\",\"xray:PutTelemetryRecords\",\"xray:GetSamplingRules\",\"xray:GetSamplingTargets\",\"x"
                 "ray:GetSamplingStatisticSummaries\"],\"Resource\":[\"*\"]}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("AWSXrayWriteOnlyAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"xray:PutTraceSegme"
                 "nts\",\"xray:PutTelemetryRecords\",\"xray:GetSamplingRules\",\"xray:GetSamplingTargets\",\"x"
                 "ray:GetSamplingStatisticSummaries\"],\"Resource\":[\"*\"]}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("AdministratorAccess"),
     SL_STR_INIT(
         "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"}]"
         "}")},
    {SL_STR_INIT("/"), SL_STR_INIT("AmazonAPIGatewayAdministrator"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"apigateway:*\"],\"Re"
                 "source\":\"arn:aws:apigateway:*::/*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("AmazonAPIGatewayInvokeFullAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"execute-api:Invoke"
                 "\",\"execute-api:ManageConnections\"],\"Resource\":\"arn:aws:execute-api:*:*:*\"}]}")},
    {SL_STR_INIT("/service-role/"), SL_STR_INIT("AmazonAPIGatewayPushToCloudWatchLogs"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"logs:CreateLogGrou"
                 "p\",\"logs:CreateLogStream\",\"logs:DescribeLogGroups\",\"logs:DescribeLogStreams\",\"logs:P"
                 "utLogEvents\",\"logs:GetLogEvents\",\"logs:FilterLogEvents\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("AmazonDynamoDBFullAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"dynamodb:*\",\"dax:*"
                 "\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("AmazonS3FullAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:*\",\"s3-object-l"
                 "ambda:*\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("AmazonS3ReadOnlyAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"s3:Get*\",\"s3:List*"
                 "\",\"s3:Describe*\",\"s3-object-lambda:Get*\",\"s3-object-lambda:List*\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("AmazonSNSFullAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"sns:*\"],\"Resource\""
                 ":\"*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("AmazonSQSFullAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"sqs:*\"],\"Resource\""
                 ":\"*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("AmazonSQSReadOnlyAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"sqs:GetQueueAttrib"
                 "utes\",\"sqs:GetQueueUrl\",\"sqs:ListDeadLetterSourceQueues\",\"sqs:ListQueues\",\"sqs:ListM"
                 "essageMoveTasks\",\"sqs:ListQueueTags\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("AmazonSSMReadOnlyAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"ssm:Describe*\",\"ss"
                 "m:Get*\",\"ssm:List*\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("CloudWatchFullAccessV2"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"cloudwatch:*\",\"log"
                 "s:*\",\"sns:CreateTopic\",\"sns:ListSubscriptions\",\"sns:ListSubscriptionsByTopic\",\"sns:L"
                 "istTopics\",\"sns:Subscribe\",\"iam:GetPolicy\",\"iam:GetPolicyVersion\",\"iam:GetRole\",\"oam"
                 ":ListSinks\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("CloudWatchLambdaInsightsExecutionRolePolicy"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"logs:CreateLogGroup"
                 "\",\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":[\"logs:CreateLogStream\",\"logs:PutLogEve"
                 "nts\"],\"Resource\":\"arn:aws:logs:*:*:log-group:/aws/lambda-insights:*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("CloudWatchLogsFullAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"logs:*\",\"cloudwatc"
                 "h:GenerateQuery\",\"cloudwatch:GenerateQueryResultsSummary\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("CloudWatchLogsReadOnlyAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"logs:Describe*\",\"l"
                 "ogs:Get*\",\"logs:List*\",\"logs:StartQuery\",\"logs:StopQuery\",\"logs:TestMetricFilter\",\"l"
                 "ogs:FilterLogEvents\",\"logs:StartLiveTail\",\"logs:StopLiveTail\",\"cloudwatch:GenerateQu"
                 "ery\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("CloudWatchReadOnlyAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"cloudwatch:BatchGe"
                 "t*\",\"cloudwatch:Describe*\",\"cloudwatch:GenerateQuery\",\"cloudwatch:Get*\",\"cloudwatch:"
                 "List*\",\"logs:Get*\",\"logs:List*\",\"logs:StartQuery\",\"logs:StopQuery\",\"logs:Describe*\","
                 "\"logs:TestMetricFilter\",\"logs:FilterLogEvents\",\"logs:StartLiveTail\",\"logs:StopLiveTa"
                 "il\",\"sns:Get*\",\"sns:List*\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("IAMFullAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"iam:*\",\"organizati"
                 "ons:DescribeAccount\",\"organizations:DescribeOrganization\",\"organizations:DescribeOrg"
                 "anizationalUnit\",\"organizations:DescribePolicy\",\"organizations:ListChildren\",\"organi"
                 "zations:ListParents\",\"organizations:ListPoliciesForTarget\",\"organizations:ListRoots\""
                 ",\"organizations:ListPolicies\",\"organizations:ListTargetsForPolicy\"],\"Resource\":\"*\"}]"
                 "}")},
    {SL_STR_INIT("/"), SL_STR_INIT("IAMReadOnlyAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"iam:GenerateCreden"
                 "tialReport\",\"iam:GenerateServiceLastAccessedDetails\",\"iam:Get*\",\"iam:List*\",\"iam:Sim"
                 "ulateCustomPolicy\",\"iam:SimulatePrincipalPolicy\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("IAMUserChangePassword"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"iam:ChangePassword"
                 "\"],\"Resource\":[\"arn:aws:iam::*:user/${aws:username}\"]},{\"Effect\":\"Allow\",\"Action\":[\""
                 "iam:GetAccountPasswordPolicy\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("PowerUserAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"NotAction\":[\"iam:*\",\"organiz"
                 "ations:*\",\"account:*\"],\"Resource\":\"*\"},{\"Effect\":\"Allow\",\"Action\":[\"account:GetAccou"
                 "ntInformation\",\"account:GetPrimaryEmail\",\"account:ListRegions\",\"iam:CreateServiceLin"
                 "kedRole\",\"iam:DeleteServiceLinkedRole\",\"iam:ListRoles\",\"organizations:DescribeOrgani"
                 "zation\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("ReadOnlyAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"apigateway:GET\",\"c"
                 "loudwatch:Describe*\",\"cloudwatch:Get*\",\"cloudwatch:List*\",\"iam:Generate*\",\"iam:Get*\""
                 ",\"iam:List*\",\"iam:Simulate*\",\"lambda:Get*\",\"lambda:List*\",\"logs:Describe*\",\"logs:Fil"
                 "terLogEvents\",\"logs:Get*\",\"logs:List*\",\"logs:StartQuery\",\"logs:StopQuery\",\"s3:Descri"
                 "be*\",\"s3:Get*\",\"s3:List*\",\"sqs:Get*\",\"sqs:List*\",\"sqs:Receive*\",\"sts:GetAccessKeyInf"
                 "o\",\"sts:GetCallerIdentity\",\"sts:GetSessionToken\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/"), SL_STR_INIT("SecretsManagerReadWrite"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"secretsmanager:*\","
                 "\"kms:DescribeKey\",\"kms:ListAliases\",\"kms:ListKeys\"],\"Resource\":\"*\"}]}")},
    {SL_STR_INIT("/job-function/"), SL_STR_INIT("ViewOnlyAccess"),
     SL_STR_INIT("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"cloudwatch:Describ"
                 "e*\",\"cloudwatch:Get*\",\"cloudwatch:List*\",\"iam:List*\",\"lambda:List*\",\"logs:Describe*\""
                 ",\"logs:List*\",\"s3:ListAllMyBuckets\",\"s3:ListBucket\",\"sqs:ListQueues\"],\"Resource\":\"*\""
                 "}]}")},
    {{NULL, 0}, {NULL, 0}, {NULL, 0}},
};
// clang-format on
