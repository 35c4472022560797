"""What a developer sees whose program, which we did not write, mails through the sidecar: each client in each mode.

A client is one program that reads its environment and sends one mail, and one line in CLIENTS. It prints what its
developer gets, a line each with tabs between the fields, and leaves on standard error what a person would read:

    accepted    <the id, where the client shows it>
    refused     <code of SMTP or HTTP>    <class of the exception>    <text>
"""

import dataclasses
import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

from stage import MODES, Stage

HERE = Path(__file__).parent
DOCUMENT = HERE.parent.parent / "docs" / "clients.md"
ALLOWED, STRANGER, SENDER = "jo@example.com", "stranger@example.net", "shop@example.com"

# How long one mail of one client may take, a virtual machine's start on a busy computer included.
LONG = 60


@dataclasses.dataclass(frozen=True)
class Client:
    """A program and what is special about it."""

    name: str
    command: tuple
    way: str
    needs: tuple = ()
    shows_id: bool = True
    starttls: bool = False
    # Of two recipients one is refused. By SES it is all or nothing; by SMTP the client decides: the other is mailed and
    # the developer is told, or is not told.
    of_two: str = "none"


def python(file):
    return (sys.executable, f"python/{file}")


CLIENTS = (
    Client("smtplib", python("smtplib_mail.py"), "smtp", shows_id=False, starttls=True, of_two="told"),
    Client("Django, SMTP", python("django_smtp.py"), "smtp", shows_id=False, of_two="untold"),
    Client("django-ses", python("django_ses_mail.py"), "http"),
    Client("boto3 sesv2", python("boto3_sesv2.py"), "http"),
    Client("boto3 ses", python("boto3_ses.py"), "http"),
    Client("nodemailer", ("node", "node/nodemailer.js"), "smtp", needs=("NODE_PATH",), starttls=True, of_two="told"),
    Client("AWS SDK for JavaScript", ("node", "node/sesv2.js"), "http", needs=("NODE_PATH",)),
    Client("swaks", ("swaks/send",), "smtp", needs=("swaks",), starttls=True, of_two="told"),
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

# How a refusal is said: by SMTP its code, which is temporary or permanent; by SES an error that no SDK tries again.
SAID = {
    ("smtp", "paused"): ("451", "mail is paused (mode: MailGuardrail/staging)"),
    ("smtp", "forbidden"): ("550", "this recipient is not allowed in mode Restricted"),
    ("http", "paused"): ("400", "mail is paused (mode: MailGuardrail/staging)"),
    ("http", "forbidden"): ("400", "this recipient is not allowed in mode Restricted"),
}

stage = None
table = {}


def setUpModule():
    global stage
    stage = Stage()


def tearDownModule():
    stage.close()
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


def missing(client):
    """Why a client cannot run here."""
    for need in client.needs:
        if not (os.environ.get(need) if need.isupper() else shutil.which(need)):
            return f"{client.name} is not tried: {need} is missing, and tests/clients/run could not install it"
    return None


@dataclasses.dataclass
class Sent:
    """What one mail came to."""

    outcomes: list
    shown: str
    mailed: list
    captured: list
    attempts: int
    ids: list

    @property
    def first(self):
        return self.outcomes[0]


class Case(unittest.TestCase):
    maxDiff = None

    def send(self, client, mode, to, **settings):
        """One mail by this client; what became of it everywhere."""
        reason = missing(client)
        if reason:
            if os.environ.get("MAIL_CLIENTS_ALL"):
                self.fail(reason)
            self.skipTest(reason)
        sidecar = stage.sidecars[mode]
        mailed, captured, messages = stage.mailed(mode), sidecar.captured(), sum(sidecar.messages().values())
        # Nothing of the caller's settings: no test may reach a real account.
        kept = {name: os.environ[name] for name in ("PATH", "NODE_PATH", "CLASSPATH", "TMPDIR") if name in os.environ}
        environment = {
            **kept,
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            **sidecar.variables(),
            "MAIL_FROM": SENDER,
            "MAIL_TO": to,
            "MAIL_SUBJECT": f"{client.name} in {mode}",
            **settings,
        }
        ran = subprocess.run(
            client.command, cwd=HERE, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LONG
        )
        shown = f"{client.name} in {mode} to {to}: exit code {ran.returncode}\n{ran.stdout}{ran.stderr}"
        outcomes = [line.split("\t") for line in ran.stdout.splitlines() if line.startswith(("accepted", "refused"))]
        self.assertEqual(ran.returncode, 0, shown)
        self.assertTrue(outcomes, shown)
        new = stage.mailed(mode)[len(mailed) :]
        return Sent(
            outcomes=outcomes,
            shown=shown,
            mailed=[recipients for _, recipients in new],
            captured=[recipients for _, recipients in sidecar.captured()[len(captured) :]],
            attempts=sum(sidecar.messages().values()) - messages,
            ids=[message_id for message_id, _ in new]
            or [message_id for message_id, _ in sidecar.captured()[len(captured) :]],
        )

    def assert_accepted(self, client, sent):
        self.assertEqual(sent.first[0], "accepted", sent.shown)
        if client.shows_id:
            self.assertIn(sent.ids[0], sent.first[1], sent.shown)

    def assert_refused(self, client, sent, how):
        self.assertEqual(sent.first[0], "refused", sent.shown)
        _, code, _, text = sent.first
        expected, words = SAID[client.way, how]
        self.assertEqual(code, expected, sent.shown)
        self.assertIn(words, text, sent.shown)
        if client.way == "http":
            self.assertEqual(sent.attempts, 1, f"a refusal is not tried again\n{sent.shown}")


class Clients(Case):
    """One test for each client and mode; see below."""

    def mail(self, client, mode):
        for to in (ALLOWED, STRANGER):
            sent = self.send(client, mode, to)
            how, mailed, captured = SEEN[mode, to]
            if how == "accepted":
                self.assert_accepted(client, sent)
            else:
                self.assert_refused(client, sent, how)
            simulated = [
                [None if it.endswith("@simulator.amazonses.com") else it for it in recipients]
                for recipients in sent.mailed
            ]
            self.assertEqual(simulated, [mailed] if mailed else [], sent.shown)
            self.assertEqual(sent.captured, [captured] if captured else [], sent.shown)
        table[client, mode] = cell(client, sent)


def cell(client, sent):
    """What the developer sees, in 80 characters."""
    if sent.first[0] == "accepted":
        kind = "captured-1" if sent.captured and not sent.mailed else "SES's id"
        return f"accepted, {kind}" if client.shows_id else "accepted"
    _, code, name, text = sent.first
    return f"{name} {code}: {text}"[:80].replace("|", "\\|")


def add_tests():
    for client in CLIENTS:
        for mode in MODES:
            name = "".join(char if char.isalnum() else "_" for char in client.name)
            setattr(Clients, f"test_{name}_{mode}", lambda self, client=client, mode=mode: self.mail(client, mode))


add_tests()


class StartTls(Case):
    def test_a_client_that_insists_gets_it(self):
        for client in CLIENTS:
            if client.starttls:
                with self.subTest(client.name):
                    sent = self.send(client, "Restricted", ALLOWED, SMTP_TLS="require")
                    self.assert_accepted(client, sent)
                    self.assertEqual(sent.mailed, [[ALLOWED]])


class TwoRecipients(Case):
    def test_of_two_the_stranger_is_never_mailed(self):
        for client in CLIENTS:
            with self.subTest(client.name):
                sent = self.send(client, "Restricted", f"{ALLOWED},{STRANGER}")
                self.assertEqual(sent.mailed, [] if client.of_two == "none" else [[ALLOWED]], sent.shown)
                kinds = {"none": ["refused"], "told": ["accepted", "refused"], "untold": ["accepted"]}[client.of_two]
                self.assertEqual(sorted(outcome[0] for outcome in sent.outcomes), kinds, sent.shown)
                if "refused" in kinds:
                    [text] = [outcome[-1] for outcome in sent.outcomes if outcome[0] == "refused"]
                    self.assertIn(SAID[client.way, "forbidden"][1], text)
