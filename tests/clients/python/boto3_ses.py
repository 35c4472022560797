"""boto3, SES v1: SendEmail."""

import os
import traceback

import boto3
from botocore.exceptions import ClientError

ses = boto3.client("ses")
try:
    answer = ses.send_email(
        Source=os.environ["MAIL_FROM"],
        Destination={"ToAddresses": os.environ["MAIL_TO"].split(",")},
        Message={
            "Subject": {"Data": os.environ["MAIL_SUBJECT"]},
            "Body": {"Text": {"Data": "Hello from boto3"}},
        },
    )
    print("accepted", answer["MessageId"], sep="\t")
except ClientError as error:
    traceback.print_exc()
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    print("refused", status, type(error).__name__, error, sep="\t")
