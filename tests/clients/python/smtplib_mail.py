"""Python's own smtplib."""

import os
import smtplib
import traceback
from email.message import EmailMessage

message = EmailMessage()
message["From"] = os.environ["MAIL_FROM"]
message["To"] = os.environ["MAIL_TO"]
message["Subject"] = os.environ["MAIL_SUBJECT"]
message.set_content("Hello from smtplib")

try:
    with smtplib.SMTP(os.environ["SMTP_HOST"], int(os.environ["SMTP_PORT"])) as smtp:
        if os.environ.get("SMTP_TLS") == "require":
            smtp.starttls()
        refused = smtp.send_message(message)
    print("accepted")
    for code, text in refused.values():
        print("refused", code, "the returned dict", text.decode(), sep="\t")
except smtplib.SMTPRecipientsRefused as error:
    traceback.print_exc()
    [(code, text), *_] = error.recipients.values()
    print("refused", code, type(error).__name__, text.decode(), sep="\t")
except smtplib.SMTPResponseException as error:
    traceback.print_exc()
    print("refused", error.smtp_code, type(error).__name__, error.smtp_error.decode(), sep="\t")
