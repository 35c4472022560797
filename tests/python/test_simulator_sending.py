"""What is sent to the simulator as boto3, a client that we did not write, sends it."""

import base64
import json
import unittest
from email.message import EmailMessage

from botocore.exceptions import ClientError, ConnectionClosedError

from simulator import Simulator

FROM = "Shop <shop@example.com>"
TO = "a@example.org"
PAUSED = (
    "Sending paused for this account. For more information, please check the inbox of the email address associated "
    "with your AWS account."
)
NOT_VERIFIED = "Email address is not verified. The following identities failed the check in region US-EAST-1: "


def simple(text="Hi.", **more):
    return {"Simple": {"Subject": {"Data": "Greetings"}, "Body": {"Text": {"Data": text}}, **more}}


def mime(sender=FROM, to=TO, body="Hi.\n", **headers):
    message = EmailMessage()
    if sender:
        message["From"] = sender
    if to:
        message["To"] = to
    message["Subject"] = "Greetings"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content(body)
    return message.as_bytes()


class Sending(unittest.TestCase):
    """One simulator without a throttle and with a generous quota, anew before each test."""

    @classmethod
    def setUpClass(cls):
        cls.simulator = Simulator(
            "--calls-per-second", "none", "--max-send-rate", "-1", "--identity", "example.com"
        )
        cls.ses = cls.simulator.client("sesv2")
        cls.v1 = cls.simulator.client("ses")

    @classmethod
    def tearDownClass(cls):
        code = cls.simulator.close()
        assert code == 0, f"the simulator ended with {code} on SIGTERM"

    def setUp(self):
        self.simulator.admin("POST", "reset")
        self.simulator.admin("PUT", "limits", {"callsPerSecond": None})

    def send(self, content=None, to=(TO,), sender=FROM, **more):
        """A message of version 2; its id."""
        asked = {"Destination": {"ToAddresses": list(to)}, "Content": content or simple(), **more}
        if sender:
            asked["FromEmailAddress"] = sender
        return self.ses.send_email(**asked)["MessageId"]

    def refused(self, code, send, *, status=400, text=None, **arguments):
        with self.assertRaises(ClientError) as caught:
            send(**arguments)
        error = caught.exception.response
        self.assertEqual(error["Error"]["Code"], code)
        self.assertEqual(error["ResponseMetadata"]["HTTPStatusCode"], status)
        if text is not None:
            self.assertEqual(error["Error"]["Message"], text)
        return caught.exception

    def received(self):
        return self.simulator.admin("GET", "received")["messages"]

    def last(self):
        """The last message, with its content."""
        return self.simulator.admin("GET", f"received/{self.received()[-1]['seq']}")

    def settings(self, **settings):
        self.simulator.admin("PATCH", "settings", settings)

    def create_set(self, name="team"):
        self.ses.create_configuration_set(ConfigurationSetName=name)

    def tenant(self, *resources):
        self.ses.create_tenant(TenantName="shop")
        for resource in resources:
            arn = self.simulator.arn(resource)
            self.ses.create_tenant_resource_association(TenantName="shop", ResourceArn=arn)

    # What is taken

    def test_a_simple_message_is_taken_and_shown_whole(self):
        self.create_set()
        message_id = self.ses.send_email(
            FromEmailAddress=FROM,
            Destination={
                "ToAddresses": ["To <a@Example.org>"],
                "CcAddresses": ["b@example.org"],
                "BccAddresses": ["c@example.net"],
            },
            ReplyToAddresses=["anybody@example.net"],
            Content=simple(
                Headers=[{"Name": "X-Kind", "Value": "order"}],
                Attachments=[{"FileName": "a.txt", "RawContent": b"\x00\xff", "ContentType": "text/plain"}],
            ),
            EmailTags=[{"Name": "kind", "Value": "order"}],
            ConfigurationSetName="team",
        )["MessageId"]
        message = self.last()
        self.assertEqual((message["messageId"], message["operation"]), (message_id, "SendEmail"))
        self.assertEqual((message["configurationSet"], message["tenant"]), ("team", None))
        self.assertEqual((message["from"], message["accessKey"]), (FROM, "simulator"))
        self.assertEqual(message["tags"], {"kind": "order"})
        self.assertEqual(
            message["destination"],
            {"to": ["To <a@Example.org>"], "cc": ["b@example.org"], "bcc": ["c@example.net"]},
        )
        self.assertEqual(
            [recipient["address"] for recipient in message["recipients"]],
            ["a@example.org", "b@example.org", "c@example.net"],
        )
        self.assertEqual({recipient["outcome"] for recipient in message["recipients"]}, {"delivery"})
        content = message["content"]["simple"]
        self.assertEqual((content["subject"], content["text"], content["html"]), ("Greetings", "Hi.", None))
        self.assertEqual(content["headers"], [["X-Kind", "order"]])
        self.assertEqual(base64.b64decode(content["attachments"][0]["content"]), b"\x00\xff")

    def test_a_raw_message_is_kept_byte_by_byte_and_its_headers_say_who_gets_it(self):
        self.create_set()
        raw = mime(
            Cc="b@example.org",
            Bcc="c@example.org",
            X_SES_CONFIGURATION_SET="team",
            X_SES_MESSAGE_TAGS="kind=order, team=shop",
        )
        message_id = self.ses.send_email(Content={"Raw": {"Data": raw}})["MessageId"]
        message = self.last()
        self.assertEqual(base64.b64decode(message["content"]["raw"]), raw)
        self.assertEqual((message["messageId"], message["configurationSet"]), (message_id, "team"))
        self.assertEqual(message["tags"], {"kind": "order", "team": "shop"})
        self.assertEqual(
            message["destination"], {"to": [TO], "cc": ["b@example.org"], "bcc": ["c@example.org"]}
        )
        self.send({"Raw": {"Data": raw}}, to=["d@example.org"], EmailTags=[{"Name": "kind", "Value": "news"}])
        message = self.last()
        self.assertEqual([recipient["address"] for recipient in message["recipients"]], ["d@example.org"])
        self.assertEqual(message["tags"], {"kind": "news"})

    def test_a_message_by_a_template_is_filled_in_and_fails_later_without_its_data(self):
        content = {"Subject": "Hi {{name}}", "Text": "{{count}} new", "Html": "<b>{{name}}</b>"}
        self.ses.create_email_template(TemplateName="hello", TemplateContent=content)
        self.assertEqual(self.ses.get_email_template(TemplateName="hello")["TemplateContent"], content)
        self.refused(
            "AlreadyExistsException", self.ses.create_email_template, TemplateName="hello", TemplateContent=content
        )
        data = json.dumps({"name": "Ann", "count": 3})
        self.send({"Template": {"TemplateName": "hello", "TemplateData": data}})
        shown = self.last()["content"]
        self.assertEqual(shown["template"], "hello")
        self.assertEqual(
            (shown["simple"]["subject"], shown["simple"]["text"], shown["simple"]["html"]),
            ("Hi Ann", "3 new", "<b>Ann</b>"),
        )
        self.send({"Template": {"TemplateName": "hello", "TemplateData": "{}"}})
        message = self.last()
        self.assertEqual(message["recipients"], [{"address": TO, "outcome": "renderingFailure"}])
        self.assertIn("Attribute 'name'", message["content"]["renderingFailure"])
        self.send({"Template": {"TemplateContent": content, "TemplateData": data}})
        self.assertIsNone(self.last()["content"]["template"])
        self.ses.delete_email_template(TemplateName="hello")
        self.refused("NotFoundException", self.ses.get_email_template, status=404, TemplateName="hello")
        self.refused(
            "NotFoundException",
            self.send,
            status=404,
            text="Template hello does not exist.",
            content={"Template": {"TemplateName": "hello"}},
        )

    def test_a_bulk_is_answered_entry_by_entry(self):
        self.ses.create_email_template(TemplateName="hello", TemplateContent={"Subject": "{{hi}} {{name}}"})
        data = json.dumps({"hi": "Hi", "name": "friend"})

        def bulk(*entries, **more):
            return self.ses.send_bulk_email(
                FromEmailAddress=FROM,
                DefaultContent={"Template": {"TemplateName": "hello", "TemplateData": data}},
                DefaultEmailTags=[{"Name": "kind", "Value": "news"}],
                BulkEmailEntries=list(entries),
                **more,
            )["BulkEmailEntryResults"]

        def entry(*to, **values):
            replacement = {"ReplacementTemplate": {"ReplacementTemplateData": json.dumps(values)}}
            return {"Destination": {"ToAddresses": list(to)}, "ReplacementEmailContent": replacement}

        results = bulk(entry(TO, name="Ann"), entry("nobody"), entry("b@example.org"))
        self.assertEqual(
            [result["Status"] for result in results], ["SUCCESS", "INVALID_PARAMETER", "SUCCESS"]
        )
        self.assertEqual(results[1]["Error"], "Missing final '@domain'")
        self.assertNotIn("MessageId", results[1])
        messages = self.received()
        self.assertEqual([message["messageId"] for message in messages], [results[0]["MessageId"], results[2]["MessageId"]])
        self.assertEqual({message["operation"] for message in messages}, {"SendBulkEmail"})
        subjects = [
            self.simulator.admin("GET", f"received/{message['seq']}")["content"]["simple"]["subject"]
            for message in messages
        ]
        self.assertEqual(subjects, ["Hi Ann", "Hi friend"])
        self.assertEqual(
            [result["Status"] for result in bulk(entry(TO), ConfigurationSetName="none")],
            ["CONFIGURATION_SET_NOT_FOUND"],
        )
        self.settings(max24HourSend=2)
        self.assertEqual([result["Status"] for result in bulk(entry(TO))], ["ACCOUNT_DAILY_QUOTA_EXCEEDED"])
        self.settings(sendingEnabled=False)
        self.refused("SendingPausedException", bulk, text=PAUSED)

    def test_version_1_sends_simple_and_raw(self):
        self.create_set()
        answer = self.v1.send_email(
            Source=FROM,
            Destination={"ToAddresses": [TO], "CcAddresses": ["b@example.org"]},
            Message={"Subject": {"Data": "Grüße"}, "Body": {"Text": {"Data": "a+b&c=d"}, "Html": {"Data": "<b>"}}},
            Tags=[{"Name": "kind", "Value": "order"}],
            ConfigurationSetName="team",
            ReplyToAddresses=["anybody@example.net"],
            ReturnPath="bounces@example.com",
        )
        message = self.last()
        self.assertEqual((message["messageId"], message["operation"]), (answer["MessageId"], "SendEmail"))
        self.assertEqual((message["configurationSet"], message["tags"]), ("team", {"kind": "order"}))
        content = message["content"]["simple"]
        self.assertEqual((content["subject"], content["text"], content["html"]), ("Grüße", "a+b&c=d", "<b>"))

        raw = mime()
        answer = self.v1.send_raw_email(RawMessage={"Data": raw}, Destinations=["c@example.org", "d@example.org"])
        message = self.last()
        self.assertEqual((message["messageId"], message["operation"]), (answer["MessageId"], "SendRawEmail"))
        self.assertEqual(base64.b64decode(message["content"]["raw"]), raw)
        self.assertEqual(message["destination"]["to"], ["c@example.org", "d@example.org"])
        self.v1.send_raw_email(RawMessage={"Data": raw})
        self.assertEqual(self.last()["destination"]["to"], [TO])

    def test_the_mailbox_simulator_and_the_suppression_lists_decide_what_becomes_of_it(self):
        self.ses.put_suppressed_destination(EmailAddress="gone@example.org", Reason="BOUNCE")
        self.ses.put_suppressed_destination(EmailAddress="angry@example.org", Reason="COMPLAINT")
        names = ["success", "bounce+1", "complaint", "ooto", "suppressionlist"]
        simulated = [f"{name}@simulator.amazonses.com" for name in names]
        self.send(to=[*simulated, "Gone@example.org", "angry@example.org"])
        self.assertEqual(
            [recipient["outcome"] for recipient in self.last()["recipients"]],
            [
                "delivery",
                "bounce",
                "complaint",
                "autoReply",
                "suppressedGlobally",
                "accountSuppressedBounce",
                "accountSuppressedComplaint",
            ],
        )
        self.assertEqual(self.ses.get_account()["SendQuota"]["SentLast24Hours"], 2)

    def test_a_message_of_a_large_size_is_taken(self):
        raw = mime(body="x" * 70 + "\n") + (b"y" * 70 + b"\r\n") * 200_000
        self.send({"Raw": {"Data": raw}})
        self.assertEqual(self.received()[-1]["bytes"], len(raw))

    # What is shown

    def test_what_was_received_is_listed_counted_and_forgotten(self):
        for to in (TO, "b@example.net", "c@example.org"):
            self.send(to=[to])
        shown = self.simulator.admin("GET", "received")
        first, last = shown["messages"][0]["seq"], shown["last"]
        self.assertEqual((len(shown["messages"]), shown["total"], last), (3, 3, first + 2))
        self.assertEqual(shown["byDomain"], {"example.net": 1, "example.org": 2})
        self.assertNotIn("content", shown["messages"][0])
        after = self.simulator.admin("GET", f"received?after={first}&limit=1")["messages"]
        self.assertEqual([message["seq"] for message in after], [first + 1])
        self.simulator.admin("DELETE", "received")
        shown = self.simulator.admin("GET", "received")
        self.assertEqual((shown["messages"], shown["total"], shown["last"]), ([], 0, last))

    def test_the_call_log_has_the_configuration_set_and_no_address(self):
        self.create_set()
        self.send(ConfigurationSetName="team")
        self.send()
        self.v1.send_raw_email(RawMessage={"Data": mime(X_SES_CONFIGURATION_SET="team")})
        calls = self.simulator.admin("GET", "calls")["calls"][1:]
        self.assertEqual(
            [(call["operation"], call["target"]) for call in calls],
            [("SendEmail", "team"), ("SendEmail", ""), ("SendRawEmail", "team")],
        )
        self.assertNotIn("@", json.dumps(calls))

    # Limits

    def test_sent_recipients_add_to_those_of_the_last_24_hours(self):
        self.settings(sentLast24Hours=10)
        self.send(to=[TO, "b@example.org"])
        self.send(to=["success@simulator.amazonses.com"])
        self.assertEqual(self.ses.get_account()["SendQuota"]["SentLast24Hours"], 12)

    def test_the_rate_and_the_quota_are_told_apart_by_their_texts(self):
        self.settings(maxSendRate=0.01)
        self.send()
        rate = "Maximum sending rate exceeded."
        error = self.refused("TooManyRequestsException", self.send, status=429, text=rate)
        self.assertIsInstance(error, self.ses.exceptions.TooManyRequestsException)
        self.settings(maxSendRate=-1, max24HourSend=1)
        quota = "Daily message quota exceeded."
        self.refused("TooManyRequestsException", self.send, status=429, text=quota)
        raw = {"RawMessage": {"Data": mime()}}
        self.refused("Throttling", self.v1.send_raw_email, text=quota, **raw)
        self.send(to=["success@simulator.amazonses.com"])

    def test_the_limit_on_control_calls_holds_for_bulk_sends_alone(self):
        self.simulator.admin("PUT", "limits", {"callsPerSecond": 0.01, "burst": 1})
        self.ses.get_account()
        self.send()
        self.v1.send_raw_email(RawMessage={"Data": mime()})
        self.refused(
            "TooManyRequestsException",
            self.ses.send_bulk_email,
            status=429,
            FromEmailAddress=FROM,
            DefaultContent={"Template": {"TemplateName": "hello"}},
            BulkEmailEntries=[{"Destination": {"ToAddresses": [TO]}}],
        )

    # Refusals

    def test_a_paused_account_refuses(self):
        raw = {"RawMessage": {"Data": mime()}}
        self.settings(sendingEnabled=False)
        error = self.refused("SendingPausedException", self.send, text=PAUSED)
        self.assertIsInstance(error, self.ses.exceptions.SendingPausedException)
        error = self.refused("AccountSendingPausedException", self.v1.send_raw_email, text=PAUSED, **raw)
        self.assertIsInstance(error, self.v1.exceptions.AccountSendingPausedException)
        self.settings(enforcement="SHUTDOWN")
        error = self.refused("AccountSuspendedException", self.send, text=PAUSED)
        self.assertIsInstance(error, self.ses.exceptions.AccountSuspendedException)
        self.refused("MessageRejected", self.v1.send_raw_email, text=PAUSED, **raw)
        self.assertEqual(self.received(), [])

    def test_a_configuration_set_that_is_missing_or_off_refuses(self):
        raw = {"RawMessage": {"Data": mime()}, "ConfigurationSetName": "team"}
        text = "Configuration set <team> does not exist."
        error = self.refused("NotFoundException", self.send, status=404, text=text, ConfigurationSetName="team")
        self.assertIsInstance(error, self.ses.exceptions.NotFoundException)
        error = self.refused("ConfigurationSetDoesNotExist", self.v1.send_raw_email, text=text, **raw)
        self.assertIsInstance(error, self.v1.exceptions.ConfigurationSetDoesNotExistException)
        self.create_set()
        self.ses.put_configuration_set_sending_options(ConfigurationSetName="team", SendingEnabled=False)
        text = "Sending is paused for configuration set team"
        self.refused("SendingPausedException", self.send, text=text, ConfigurationSetName="team")
        error = self.refused("ConfigurationSetSendingPausedException", self.v1.send_raw_email, text=text, **raw)
        self.assertIsInstance(error, self.v1.exceptions.ConfigurationSetSendingPausedException)

    def test_an_identity_s_default_set_applies(self):
        self.create_set()
        identity = {"EmailIdentity": "example.com"}
        self.ses.put_email_identity_configuration_set_attributes(ConfigurationSetName="team", **identity)
        self.send()
        self.assertEqual(self.last()["configurationSet"], "team")
        self.ses.put_configuration_set_sending_options(ConfigurationSetName="team", SendingEnabled=False)
        self.refused("SendingPausedException", self.send)
        self.simulator.admin("DELETE", "sets/team")
        self.refused("BadRequestException", self.send, text="Configuration set <team> does not exist.")

    def test_a_tenant_must_exist_be_enabled_and_have_what_is_used(self):
        self.create_set()
        use = {"TenantName": "shop", "ConfigurationSetName": "team"}
        text = "Tenant shop for AwsAccountId 111122223333 not found."
        self.refused("NotFoundException", self.send, status=404, text=text, **use)
        self.tenant("identity/example.com")
        arn = self.simulator.arn("configuration-set/team")
        text = f"Tenant not associated with resources [{arn}]."
        self.refused("AccessDeniedException", self.send, status=403, text=text, **use)
        self.ses.create_tenant_resource_association(TenantName="shop", ResourceArn=arn)
        self.send(**use)
        self.assertEqual(self.last()["tenant"], "shop")
        raw = mime(X_SES_CONFIGURATION_SET="team", X_SES_TENANT="shop")
        self.ses.send_email(Content={"Raw": {"Data": raw}})
        self.assertEqual(self.last()["tenant"], "shop")
        self.simulator.admin("PUT", "tenants/shop/aws-status", {"status": "DISABLED"})
        self.refused("SendingPausedException", self.send, **use)

    def test_a_sender_that_is_not_verified_is_rejected_by_name(self):
        sender = "Other <b@example.net>"
        error = self.refused("MessageRejected", self.send, text=NOT_VERIFIED + sender, sender=sender)
        self.assertIsInstance(error, self.ses.exceptions.MessageRejected)
        raw = {"RawMessage": {"Data": mime(sender)}, "Source": "c@example.net"}
        text = f"{NOT_VERIFIED}c@example.net, {sender}"
        error = self.refused("MessageRejected", self.v1.send_raw_email, text=text, **raw)
        self.assertIsInstance(error, self.v1.exceptions.MessageRejected)

    def test_the_sandbox_sends_to_the_verified_and_to_the_mailbox_simulator(self):
        self.settings(productionAccess=False)
        self.refused("MessageRejected", self.send, text=NOT_VERIFIED + TO)
        self.send(to=["b@example.com", "bounce@simulator.amazonses.com"])

    def test_recipients_are_one_to_fifty_and_can_be_read(self):
        bad = "BadRequestException"
        self.send(to=[f"r{number}@example.org" for number in range(50)])
        many = [f"r{number}@example.org" for number in range(51)]
        self.refused(bad, self.send, text="Recipient count exceeds 50.", to=many)
        self.refused(bad, self.send, text="At least one destination address is required.", to=[])
        self.refused(bad, self.send, text="Missing final '@domain'", to=["nobody"])
        self.refused(bad, self.send, text="Local address contains control or whitespace", to=["jürgen@example.org"])
        self.refused(bad, self.send, text="Domain contains control or whitespace", to=["a@exämple.org"])
        raw = {"RawMessage": {"Data": mime(to=None)}}
        self.refused("InvalidParameterValue", self.v1.send_raw_email, text="Missing required header 'To'.", **raw)
        raw["Destinations"] = many
        self.refused("InvalidParameterValue", self.v1.send_raw_email, text="Recipient count exceeds 50.", **raw)

    def test_the_form_of_a_message_is_checked(self):
        bad = "BadRequestException"
        error = self.refused(bad, self.send, sender=None)
        self.assertIsNone(error.response["Error"]["Message"])
        raw = {"Raw": {"Data": mime(sender=None)}}
        self.refused(bad, self.send, text="Missing required header 'From'.", content=raw)
        long = {"Raw": {"Data": mime() + b"x" * 1001}}
        self.refused(bad, self.send, content=long)
        self.refused(bad, self.send, content={**simple(), **raw})
        self.refused(bad, self.send, EmailTags=[{"Name": "kind", "Value": "a b"}])
        header = {"Name": "X-Kind", "Value": "a\r\nBcc: b@example.org"}
        self.refused(bad, self.send, content=simple(Headers=[header]))
        self.refused(bad, self.send, content=simple(Headers=[{"Name": "X-Kind", "Value": "a"}] * 16))

    def test_a_message_above_the_limit_of_its_version_is_refused(self):
        raw = mime() + (b"y" * 98 + b"\r\n") * 110_000
        text = f"Message length is more than 10485760 bytes long: '{len(raw)}'."
        self.refused("InvalidParameterValue", self.v1.send_raw_email, text=text, RawMessage={"Data": raw})
        raw = mime() + (b"y" * 98 + b"\r\n") * 420_000
        text = f"Message length is more than 41943040 bytes long: '{len(raw)}'."
        self.refused("BadRequestException", self.send, text=text, content={"Raw": {"Data": raw}})

    def test_version_1_names_its_own_errors(self):
        raw = {"RawMessage": {"Data": mime()}}
        unknown = self.simulator.client("ses", access_key="other")
        self.refused("InvalidClientTokenId", unknown.send_raw_email, status=403, **raw)
        self.simulator.admin("PUT", "denials", {"operations": ["SendRawEmail"]})
        self.refused("AccessDenied", self.v1.send_raw_email, status=403, **raw)

    # Faults

    def test_faults_hit_what_sends_by_operation_and_set(self):
        def arm(effect, operation="SendEmail", **more):
            self.simulator.admin("POST", "faults", {"effect": effect, "operation": operation, "times": 1, **more})

        self.create_set()
        arm("throttle")
        self.refused("TooManyRequestsException", self.send, status=429)
        arm({"error": {"status": 503}}, target="team")
        self.send()
        self.refused("ServiceUnavailable", self.send, status=503, ConfigurationSetName="team")
        arm("throttle", "SendRawEmail")
        self.refused("Throttling", self.v1.send_raw_email, RawMessage={"Data": mime()})
        arm({"error": {"status": 500}}, "SendRawEmail")
        self.refused("InternalServiceError", self.v1.send_raw_email, status=500, RawMessage={"Data": mime()})
        sent = len(self.received())
        arm("cutBefore")
        with self.assertRaises(ConnectionClosedError):
            self.send()
        self.assertEqual(len(self.received()), sent)
        arm("loseAnswer")
        with self.assertRaises(ConnectionClosedError):
            self.send()
        self.assertEqual(len(self.received()), sent + 1)

    def test_a_retry_after_a_lost_answer_sends_twice(self):
        self.simulator.admin("POST", "faults", {"effect": "loseAnswer", "operation": "SendEmail", "times": 1})
        retrying = self.simulator.client("sesv2", attempts=2)
        retrying.send_email(FromEmailAddress=FROM, Destination={"ToAddresses": [TO]}, Content=simple())
        self.assertEqual(len(self.received()), 2)


if __name__ == "__main__":
    unittest.main()
