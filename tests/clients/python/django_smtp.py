"""Django's mail with its SMTP backend, which is the default."""

import os
import smtplib
import traceback

from django.conf import settings
from django.core.mail import send_mail

settings.configure(
    EMAIL_HOST=os.environ["SMTP_HOST"],
    EMAIL_PORT=int(os.environ["SMTP_PORT"]),
)
try:
    to = os.environ["MAIL_TO"].split(",")
    send_mail(os.environ["MAIL_SUBJECT"], "Hello from Django", os.environ["MAIL_FROM"], to)
    print("accepted")
except smtplib.SMTPRecipientsRefused as error:
    traceback.print_exc()
    [(code, text), *_] = error.recipients.values()
    print("refused", code, type(error).__name__, text.decode(), sep="\t")
