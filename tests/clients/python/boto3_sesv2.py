"""boto3, SES v2: SendEmail with simple content."""

import os
import traceback

import boto3
from botocore.exceptions import ClientError

ses = boto3.client("sesv2")
try:
    answer = ses.send_email(
        FromEmailAddress=os.environ["MAIL_FROM"],
        Destination={"ToAddresses": os.environ["MAIL_TO"].split(",")},
        Content={
            "Simple": {
                "Subject": {"Data": os.environ["MAIL_SUBJECT"]},
                "Body": {"Text": {"Data": "Hello from boto3"}},
            }
        },
    )
    print("accepted", answer["MessageId"], sep="\t")
except ClientError as error:
    traceback.print_exc()
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    print("refused", status, type(error).__name__, error, sep="\t")
