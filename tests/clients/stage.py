"""A simulator of SES, and one sidecar for each mode beside it."""

import contextlib
import json
import os
import re
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from simulator import Simulator

MODES = ("Paused", "Capture", "Simulate", "Restricted", "Live")

# As the operator publishes it. Each sidecar has a configuration set of its own, by which SES's messages are told apart.
CONFIG = """\
version: 1
namespace: shop
account: {{name: primary, region: us-east-1, endpointUrl: "{endpoint}"}}
unmatched: {{mode: Paused, from: [default]}}
ceilings: {{recipients: [{ceilings}], newRecipients: [], from: {{recipients: [MailGuardrail/staging]}}}}
policies:
- name: mail
  match: {{type: Rest}}
  mode: {mode}
  enforcement: Enforce
  allowed: [example.com]
  otherRecipients: {{action: Reject}}
  senders: [example.com]
  ceilings: {{recipients: [], newRecipients: [], perRecipient: [], maxWaitMillis: 0}}
  configurationSet: {set}
  from:
    mode: [MailGuardrail/staging]
    allowed: [MailPolicy/mail]
    senders: [MailGuardrail/company]
suppressions: {{revision: r1}}
"""

# How long a sidecar may take to start.
SOON = 20


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read().decode()


class Sidecar:
    """`mail-sidecar` in one mode, with what a pod mounts."""

    def __init__(self, mode, ses, folder, ceilings="1000/s", flags=()):
        self.ses = ses
        self.mode = mode
        self.set = folder.name
        create = {"body": {"ConfigurationSetName": self.set}}
        ses.admin("POST", "operations/CreateConfigurationSet", create)
        folder.mkdir()
        self.log = folder / "log"
        files = {
            "config/sidecar.yaml": CONFIG.format(mode=mode, ceilings=ceilings, set=self.set, endpoint=ses.endpoint),
            "suppressions/key": "k" * 32,
            "suppressions/revision": "r1",
            "suppressions/hashes": "",
            "credentials/accessKeyId": "simulator",
            "credentials/secretAccessKey": "secret",
        }
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        (folder / "state").mkdir()
        # It does not outlive the tests, however they end.
        command = ["setpriv", "--pdeathsig", "KILL", os.environ["MAIL_SIDECAR"], "--alone"]
        command += flags
        for listener in ("smtp", "http", "status"):
            command += [f"--{listener}", "127.0.0.1:0"]
        for name in ("config", "suppressions", "credentials", "state"):
            command += [f"--{name}", str(folder / name)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        addresses = self._listens()
        self.smtp, self.http, self.status = (addresses[name] for name in ("smtp", "http", "status"))

    def _listens(self):
        end = time.monotonic() + SOON
        while time.monotonic() < end and self.process.poll() is None:
            for line in self.log.read_text().splitlines():
                with contextlib.suppress(ValueError, KeyError):
                    fields = json.loads(line)["fields"]
                    if fields["message"] == "listens":
                        return fields
            time.sleep(0.02)
        raise RuntimeError(f"the sidecar in {self.mode} does not listen:\n{self.log.read_text()}")

    def close(self):
        """Stops it as kubelet does."""
        self.process.terminate()
        return self.process.wait(timeout=SOON)

    def variables(self):
        """What a container beside it gets, by which alone a client is configured."""
        host, port = self.smtp.split(":")
        return {
            "SMTP_HOST": host,
            "SMTP_PORT": port,
            "AWS_ENDPOINT_URL_SESV2": f"http://{self.http}",
            "AWS_ENDPOINT_URL_SES": f"http://{self.http}",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "application",
            "AWS_SECRET_ACCESS_KEY": "any",
        }

    def mailed(self):
        """Id and recipients of each message that SES received from it, oldest first."""
        messages = self.ses.admin("GET", "received")["messages"]
        return [
            (message["messageId"], [recipient["address"] for recipient in message["recipients"]])
            for message in messages
            if message["configurationSet"] == self.set
        ]

    def captured(self):
        """Id and recipients of each captured message, oldest first."""
        messages = json.loads(fetch(f"http://{self.http}/captured"))["messages"]
        return [
            (f"captured-{message['id']}", [it["address"] for it in message["recipients"]])
            for message in reversed(messages)
        ]

    def messages(self):
        """How many messages came, whatever became of them."""
        metrics = fetch(f"http://{self.status}/metrics")
        counts = re.findall(r"^mail_policy_sidecar_messages_total\{.*\} (\d+)$", metrics, re.MULTILINE)
        return sum(map(int, counts))


class Stage:
    """All modes at once, and one sidecar to which no ceiling was set."""

    def __init__(self):
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mail-clients-")))
            self.ses = Simulator("--calls-per-second", "none", "--identity", "example.com")
            stack.callback(self.ses.close)
            self.sidecars = {}
            for mode in MODES:
                self.sidecars[mode] = Sidecar(mode, self.ses, folder / f"shop-{mode}")
                stack.callback(self.sidecars[mode].close)
            self.unlimited = Sidecar("Live", self.ses, folder / "shop-unlimited", ceilings="")
            stack.callback(self.unlimited.close)
            self.with_tls = Sidecar("Restricted", self.ses, folder / "shop-tls", flags=["--starttls"])
            stack.callback(self.with_tls.close)
            self._stack = stack.pop_all()

    def close(self):
        self._stack.close()
