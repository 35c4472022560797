"""Django's mail with django-ses, whose endpoint is a setting: it does not read the SDK's variable."""

import os
import traceback

from botocore.exceptions import ClientError
from django.conf import settings
from django.core.mail import EmailMessage

settings.configure(
    EMAIL_BACKEND="django_ses.SESBackend",
    USE_SES_V2=True,
    AWS_SES_REGION_ENDPOINT_URL=os.environ["AWS_ENDPOINT_URL_SESV2"],
)
message = EmailMessage(
    os.environ["MAIL_SUBJECT"], "Hello from django-ses", os.environ["MAIL_FROM"], os.environ["MAIL_TO"].split(",")
)
try:
    message.send()
    print("accepted", message.extra_headers["message_id"], sep="\t")
except ClientError as error:
    traceback.print_exc()
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    print("refused", status, type(error).__name__, error, sep="\t")
