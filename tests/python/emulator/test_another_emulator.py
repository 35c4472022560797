"""The operator against an emulator of SES that we did not write (ministack), read by a client that we did not write.

Started by `tests/python/run`, which names the binary in MAIL_POLICY_OPERATOR. The control plane is that of
`cargo run --example cluster`, built beside the binary.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

BINARY = pathlib.Path(os.environ["MAIL_POLICY_OPERATOR"])
ROOT = pathlib.Path(__file__).resolve().parents[3]
DEADLINE = 120

# What ministack 1.5.33 lacks of what the operator uses; each is asserted below, so that its arrival is noticed.
LACKS = {
    "GetReputationEntity": lambda ses: ses.get_reputation_entity(
        ReputationEntityReference="arn:aws:ses:us-east-1:000000000000:tenant/t/tn-1", ReputationEntityType="RESOURCE"
    ),
    "PutEmailIdentityConfigurationSetAttributes": lambda ses: ses.put_email_identity_configuration_set_attributes(
        EmailIdentity="example.com", ConfigurationSetName="any"
    ),
    "PutSuppressedDestination": lambda ses: ses.put_suppressed_destination(
        EmailAddress="a@example.com", Reason="BOUNCE"
    ),
}

PLATFORM = """
apiVersion: mailpolicy.dev/v1alpha1
kind: SendingAccount
metadata: {name: primary}
spec:
  region: us-east-1
  clusterId: test
  endpointUrl: ENDPOINT
  isolation: Tenant
  identities: [{name: example.com}]
  apiBudget: {perSecond: 100, burst: 100}
  feedback: {destination: {sns: {topicArn: "arn:aws:sns:us-east-1:000000000000:feedback"}}}
---
apiVersion: mailpolicy.dev/v1alpha1
kind: MailGuardrail
metadata: {name: all}
spec:
  namespaceSelector: {matchLabels: {env: test}}
  accountRef: {name: primary}
  maxMode: Live
  ceilings: {recipients: ["10/s"]}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {env: test}}
---
apiVersion: mailpolicy.dev/v1alpha1
kind: MailPolicy
metadata: {name: default, namespace: shop}
spec:
  mode: Live
  suppression: {type: Only, only: [Bounce], scope: Account}
  ses: {tls: Require, maxDelivery: 4h, vdm: {engagementMetrics: true}}
"""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def eventually(what, check):
    """Waits until check returns something; the last failure is told."""
    until, last = time.monotonic() + DEADLINE, None
    while time.monotonic() < until:
        try:
            found = check()
            if found:
                return found
        except (AssertionError, BotoCoreError, ClientError, OSError, subprocess.CalledProcessError) as error:
            last = error
        time.sleep(0.2)
    raise AssertionError(f"waited {DEADLINE}s in vain until {what}; last seen: {last!r}")


class AnotherEmulator(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="mail-policy-emulator-"))
        cls.children = []
        cls.addClassCleanup(cls.stop)
        port = free_port()
        cls.endpoint = f"http://127.0.0.1:{port}"
        cls.start("ministack", [sys.executable, "-m", "ministack"], GATEWAY_PORT=str(port), LOG_LEVEL="WARNING")
        cls.ses = boto3.client(
            "sesv2",
            region_name="us-east-1",
            endpoint_url=cls.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"max_attempts": 1}),
        )
        eventually("ministack answers", lambda: cls.ses.get_account())
        cls.ses.create_email_identity(EmailIdentity="example.com")
        cls.kubeconfig = cls.control_plane()
        cls.kubectl("apply", "--kustomize", str(ROOT / "crds"))
        cls.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
        cls.kubectl("create", "namespace", "mail-policy-system")
        cls.start(
            "operator",
            [str(BINARY), "run", "--listen", "127.0.0.1:0", "--instance", "first"],
            KUBECONFIG=cls.kubeconfig,
            AWS_ACCESS_KEY_ID="test",
            AWS_SECRET_ACCESS_KEY="test",
            AWS_EC2_METADATA_DISABLED="true",
        )
        cls.kubectl("apply", "--filename", "-", text=PLATFORM.replace("ENDPOINT", cls.endpoint))

    @classmethod
    def start(cls, name, command, **environment):
        path = cls.folder / f"{name}.log"
        environment |= {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        with open(path, "wb") as log:
            child = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=cls.folder)
        cls.children.append(child)
        return path

    @classmethod
    def control_plane(cls):
        log = cls.start("cluster", [str(BINARY.parent / "examples" / "cluster")])

        def printed():
            found = re.search(r"KUBECONFIG=(.+)", log.read_text())
            return found and found[1]

        return eventually("the control plane serves", printed)

    @classmethod
    def kubectl(cls, *arguments, text=None):
        assets = subprocess.run([ROOT / "tests/controlplane/build"], check=True, capture_output=True, text=True)
        command = [f"{assets.stdout.strip()}/kubectl", "--kubeconfig", cls.kubeconfig, *arguments]
        return subprocess.run(command, input=text, check=True, capture_output=True, text=True).stdout

    @classmethod
    def stop(cls):
        for child in reversed(cls.children):
            # What the control plane's program waits for is Ctrl-C; the others take it, too.
            child.send_signal(signal.SIGINT)
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def policy(self):
        return json.loads(self.kubectl("get", "mailpolicies", "default", "-n", "shop", "-o", "json"))

    def test_a_policys_set_its_options_its_destination_and_its_tenant_appear(self):
        def programmed():
            conditions = {it["type"]: it for it in self.policy().get("status", {}).get("conditions", [])}
            assert conditions.get("Programmed", {}).get("status") == "True", conditions
            return self.policy()["status"]["ses"]

        ses = eventually("the policy is programmed", programmed)
        name = ses["configurationSet"]
        standing = self.ses.get_configuration_set(ConfigurationSetName=name)
        self.assertEqual(standing["DeliveryOptions"]["TlsPolicy"], "REQUIRE")
        self.assertEqual(standing["DeliveryOptions"]["MaxDeliverySeconds"], 14400)
        self.assertEqual(standing["SuppressionOptions"]["SuppressedReasons"], ["BOUNCE"])
        self.assertTrue(standing["SendingOptions"]["SendingEnabled"])
        tags = {tag["Key"]: tag["Value"] for tag in standing["Tags"]}
        self.assertEqual(tags["mailpolicy.dev/namespace"], "shop")
        destinations = self.ses.get_configuration_set_event_destinations(ConfigurationSetName=name)
        (destination,) = destinations["EventDestinations"]
        self.assertEqual(destination["SnsDestination"]["TopicArn"], "arn:aws:sns:us-east-1:000000000000:feedback")
        self.assertIn("BOUNCE", destination["MatchingEventTypes"])
        resources = self.ses.list_tenant_resources(TenantName=ses["tenant"])["TenantResources"]
        arns = sorted(resource["ResourceArn"].split(":")[-1] for resource in resources)
        self.assertEqual(arns, [f"configuration-set/{name}", "identity/example.com"])

    def test_what_the_emulator_lacks_is_still_lacking(self):
        for operation, call in LACKS.items():
            with self.subTest(operation), self.assertRaises((BotoCoreError, ClientError)):
                call(self.ses)


if __name__ == "__main__":
    unittest.main()
