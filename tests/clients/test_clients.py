"""What a developer sees whose program, which we did not write, mails through the sidecar: each client in each mode.

A client is one program that reads its environment and sends one mail, and one line in CLIENTS. It prints what its
developer gets, a line each with tabs between the fields, and leaves on standard error what a person would read:

    accepted    <the id, where the client shows it>
    refused     <code of SMTP or HTTP>    <class of the exception>    <text>
"""

import base64
import dataclasses
import os
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

from stage import MODES, Stage

HERE = Path(__file__).parent
DOCUMENT = HERE.parent.parent / "docs" / "clients.md"
BEGIN, END = "<!-- what tests/clients saw -->\n", "\n<!-- end -->"
ALLOWED, STRANGER, SENDER = "jo@example.com", "stranger@example.net", "shop@example.com"

# How long one mail of one client may take, on a computer that is busy with other things.
LONG = 120


@dataclasses.dataclass(frozen=True)
class Client:
    """A program and what is special about it."""

    name: str
    command: tuple
    way: str
    # Programs, or variables that tests/clients/run sets.
    needs: tuple = ()
    shows_id: bool = True
    shows_code: bool = True
    can_insist_on_tls: bool = True
    # A queue of its own: the developer gets a bounce, which is one more mail.
    bounces: bool = False
    # Of two recipients one is refused. By SES's API it is all or nothing; by SMTP the client decides: it mails the other
    # and tells of both, or of one of them alone; or it mails nobody.
    of_two: str = "none"


def python(file):
    return (sys.executable, f"python/{file}")


def java(name):
    return ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", name)


CLIENTS = (
    Client("smtplib", python("smtplib_mail.py"), "smtp", shows_id=False, of_two="both"),
    Client("Django", python("django_smtp.py"), "smtp", shows_id=False, can_insist_on_tls=False, of_two="accepted"),
    Client("django-ses", python("django_ses_mail.py"), "http"),
    Client("boto3 sesv2", python("boto3_sesv2.py"), "http"),
    Client("boto3 ses", python("boto3_ses.py"), "http"),
    Client("nodemailer", ("node", "node/nodemailer.js"), "smtp", ("node", "NODE_PATH"), of_two="both"),
    Client("AWS SDK for JavaScript", ("node", "node/sesv2.js"), "http", ("node", "NODE_PATH")),
    Client("Spring, Jakarta Mail", java("SpringMail"), "smtp", ("java", "CLASSPATH"), shows_id=False),
    Client("AWS SDK for Java 2", java("SesV2"), "http", ("java", "CLASSPATH")),
    Client(
        "PHPMailer",
        ("php", "php/phpmailer.php"),
        "smtp",
        ("php", "/usr/share/php/libphp-phpmailer"),
        shows_code=False,
        of_two="refused",
    ),
    Client(
        "Symfony Mailer",
        ("php", "php/symfony.php"),
        "smtp",
        ("php", "/usr/share/php/Symfony/Component/Mailer"),
    ),
    Client("Ruby, mail", ("ruby", "ruby/mail.rb"), "smtp", ("ruby", "/usr/share/doc/ruby-mail")),
    Client("swaks", ("swaks/send",), "smtp", ("swaks",), of_two="both"),
    Client("Postfix", ("postfix/null-client",), "smtp", ("postfix", "ROOT"), bounces=True, of_two="both"),
)

# What a mode does with each address: what the developer sees, whom SES mails (None is somebody at the simulator) and
# who is captured.
SEEN = {
    ("Paused", ALLOWED): ("paused", [], []),
    ("Paused", STRANGER): ("paused", [], []),
    ("Capture", ALLOWED): ("accepted", [], [ALLOWED]),
    ("Capture", STRANGER): ("accepted", [], [STRANGER]),
    ("Simulate", ALLOWED): ("accepted", [None], [ALLOWED]),
    ("Simulate", STRANGER): ("accepted", [None], [STRANGER]),
    ("Restricted", ALLOWED): ("accepted", [ALLOWED], []),
    ("Restricted", STRANGER): ("forbidden", [], []),
    ("Live", ALLOWED): ("accepted", [ALLOWED], []),
    ("Live", STRANGER): ("accepted", [STRANGER], []),
}

# How a refusal is said: by SMTP its code is temporary or permanent; by SES's API it is an error that no SDK tries again.
SAID = {
    ("smtp", "paused"): ("451", "mail is paused (mode: MailGuardrail/staging)"),
    ("smtp", "forbidden"): ("550", "this recipient is not allowed in mode Restricted"),
    ("http", "paused"): ("400", "mail is paused (mode: MailGuardrail/staging)"),
    ("http", "forbidden"): ("400", "this recipient is not allowed in mode Restricted"),
}

stage = None
table = {}
not_tried = set()


def setUpModule():
    global stage
    stage = Stage()


def tearDownModule():
    stage.close()
    for reason in sorted(not_tried):
        print(f"\n!!! {reason}", flush=True)
    if table:
        print("\nWhat the developer sees who mails a stranger:\n\n" + markdown(), flush=True)


def markdown():
    """The table of what was seen, as far as it was."""
    rows = [["client", *MODES], ["---"] * (len(MODES) + 1)]
    for client in CLIENTS:
        cells = [table.get((client, mode), "") for mode in MODES]
        if any(cells):
            rows.append([client.name, *cells])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def is_there(need):
    if need == "ROOT":
        return os.geteuid() == 0
    if need.isupper():
        return need in os.environ
    return Path(need).exists() if need.startswith("/") else shutil.which(need)


@dataclasses.dataclass
class Sent:
    """What one mail came to."""

    outcomes: list
    shown: str
    mailed: list
    captured: list
    attempts: int

    @property
    def first(self):
        return self.outcomes[0]

    def recipients_mailed(self):
        return [recipients for _, recipients in self.mailed]

    def recipients_captured(self):
        return [recipients for _, recipients in self.captured]


class Case(unittest.TestCase):
    maxDiff = None

    def send(self, client, sidecar, to, **settings):
        """One mail by this client; what became of it everywhere."""
        missing = [need for need in client.needs if not is_there(need)]
        if missing:
            reason = f"{client.name} is not tried: {', '.join(missing)} is missing, and tests/clients/run could not mend it"
            if "MAIL_CLIENTS_ALL" in os.environ:
                self.fail(reason)
            not_tried.add(reason)
            self.skipTest(reason)
        mailed, captured, messages = len(sidecar.mailed()), len(sidecar.captured()), sidecar.messages()
        # Nothing of the caller's settings: no test may reach a real account.
        kept = {name: os.environ[name] for name in ("PATH", "NODE_PATH", "CLASSPATH", "TMPDIR") if name in os.environ}
        environment = {
            **kept,
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            **sidecar.variables(),
            "MAIL_FROM": SENDER,
            "MAIL_TO": to,
            "MAIL_SUBJECT": f"{client.name} in {sidecar.mode}",
            **settings,
        }
        ran = subprocess.run(
            client.command,
            cwd=HERE,
            env={name: value for name, value in environment.items() if value is not None},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONG,
        )
        shown = f"{client.name} in {sidecar.mode} to {to}: exit code {ran.returncode}\n{ran.stdout}{ran.stderr}"
        outcomes = [line.split("\t") for line in ran.stdout.splitlines() if line.startswith(("accepted", "refused"))]
        self.assertEqual(ran.returncode, 0, shown)
        self.assertTrue(outcomes, shown)
        return Sent(
            outcomes=outcomes,
            shown=shown,
            mailed=sidecar.mailed()[mailed:],
            captured=sidecar.captured()[captured:],
            attempts=sidecar.messages() - messages,
        )

    def assert_accepted(self, client, sent):
        self.assertEqual(sent.first[0], "accepted", sent.shown)
        if client.shows_id:
            [(message_id, _)] = sent.mailed or sent.captured
            self.assertIn(message_id, sent.first[1], sent.shown)

    def assert_refused(self, client, sent, how):
        self.assertEqual(sent.first[0], "refused", sent.shown)
        _, code, _, text = sent.first
        expected, words = SAID[client.way, how]
        self.assertEqual(code, expected if client.shows_code else "", sent.shown)
        self.assertIn(words, text, sent.shown)
        if client.way == "http":
            self.assertEqual(sent.attempts, 1, f"no SDK tries a refusal again\n{sent.shown}")


class Clients(Case):
    """One test for each client and mode, added below."""

    def mail(self, client, mode):
        for to in (ALLOWED, STRANGER):
            sent = self.send(client, stage.sidecars[mode], to)
            how, mailed, captured = SEEN[mode, to]
            if how == "accepted":
                self.assert_accepted(client, sent)
            else:
                self.assert_refused(client, sent, how)
            expected = [mailed] if mailed else []
            if how == "forbidden" and client.bounces:
                expected = [[SENDER]]
            simulated = [
                [None if it.endswith("@simulator.amazonses.com") else it for it in recipients]
                for recipients in sent.recipients_mailed()
            ]
            self.assertEqual(simulated, expected, sent.shown)
            self.assertEqual(sent.recipients_captured(), [captured] if captured else [], sent.shown)
        table[client, mode] = cell(client, sent)


def cell(client, sent):
    """What the developer sees, in 80 characters."""
    if sent.first[0] == "accepted":
        which = "a number of the store" if sent.captured and not sent.mailed else "SES's id"
        return f"accepted: {which}" if client.shows_id else "accepted"
    _, code, name, text = sent.first
    return f"{name}: {text}"[:80].strip().replace("|", "\\|")


def add_tests():
    for client in CLIENTS:
        for mode in MODES:
            name = "".join(char if char.isalnum() else "_" for char in client.name)
            setattr(Clients, f"test_{name}_{mode}", lambda self, client=client, mode=mode: self.mail(client, mode))


add_tests()


class Smtp(Case):
    def test_a_client_that_insists_on_starttls_gets_it(self):
        for client in CLIENTS:
            if client.way == "smtp" and client.can_insist_on_tls:
                with self.subTest(client.name):
                    sent = self.send(client, stage.with_tls, ALLOWED, SMTP_TLS="require")
                    self.assert_accepted(client, sent)
                    self.assertEqual(sent.recipients_mailed(), [[ALLOWED]])

    def test_the_bounce_of_a_queue_says_what_the_sidecar_said(self):
        [client] = [client for client in CLIENTS if client.bounces]
        sent = self.send(client, stage.sidecars["Restricted"], STRANGER)
        [(message_id, recipients)] = sent.mailed
        self.assertEqual(recipients, [SENDER])
        messages = stage.ses.admin("GET", "received")["messages"]
        [seq] = [message["seq"] for message in messages if message["messageId"] == message_id]
        bounce = base64.b64decode(stage.ses.admin("GET", f"received/{seq}")["content"]["raw"]).decode()
        bounce = re.sub(r"\r\n\s+", " ", bounce)
        self.assertIn("Diagnostic-Code: smtp; 550 5.7.1 this recipient is not allowed in mode Restricted", bounce)
        self.assertIn(f"Final-Recipient: rfc822; {STRANGER}", bounce)


class OfTwo(Case):
    def test_of_two_the_stranger_is_never_mailed(self):
        for client in CLIENTS:
            with self.subTest(client.name):
                sent = self.send(client, stage.sidecars["Restricted"], f"{ALLOWED},{STRANGER}")
                mailed = [] if client.of_two == "none" else [[ALLOWED]]
                self.assertEqual(sent.recipients_mailed(), mailed + [[SENDER]] * client.bounces, sent.shown)
                kinds = {"none": ["refused"], "both": ["accepted", "refused"]}.get(client.of_two, [client.of_two])
                self.assertEqual(sorted(outcome[0] for outcome in sent.outcomes), kinds, sent.shown)
                if "refused" in kinds:
                    [text] = [outcome[-1] for outcome in sent.outcomes if outcome[0] == "refused"]
                    self.assertIn(SAID[client.way, "forbidden"][1], text)


class Ses(Case):
    def client(self, name):
        [client] = [client for client in CLIENTS if client.name == name]
        return client

    def test_v1_says_paused_by_the_name_that_its_sdk_knows(self):
        sent = self.send(self.client("boto3 ses"), stage.sidecars["Paused"], ALLOWED)
        self.assertEqual(sent.first[2], "AccountSendingPausedException", sent.shown)

    def test_a_namespace_without_ceilings_has_a_rate_that_clients_understand(self):
        client = self.client("django-ses")
        self.assert_accepted(client, self.send(client, stage.unlimited, ALLOWED))


class Table(unittest.TestCase):
    """The last class by name: what docs/clients.md shows is what was seen."""

    def test_the_document_shows_what_was_seen(self):
        if len(table) < len(CLIENTS) * len(MODES):
            self.skipTest("not every client was tried in every mode")
        text = DOCUMENT.read_text()
        before, rest = text.split(BEGIN)
        shown, after = rest.split(END)
        if "MAIL_CLIENTS_BLESS" in os.environ:
            DOCUMENT.write_text(before + BEGIN + markdown() + END + after)
        else:
            self.assertEqual(shown, markdown(), "run it with MAIL_CLIENTS_BLESS=1 to write the table")
