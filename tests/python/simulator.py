"""A running simulator and clients for it."""

import json
import os
import subprocess
import urllib.request

import boto3
from botocore.config import Config

REGION = "us-east-1"
ACCOUNT = "111122223333"


class Simulator:
    """Runs `mail-policy-operator simulator` until it is closed."""

    def __init__(self, *arguments):
        binary = os.environ["MAIL_POLICY_OPERATOR"]
        command = [binary, "simulator", "--listen", "127.0.0.1:0", "--print-address", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the simulator did not start: exit code {self.process.wait(timeout=10)}")
        self.endpoint = json.loads(line)["endpoint"]

    def close(self):
        """Stops it as an orchestrator would, and says how it ended."""
        self.process.terminate()
        code = self.process.wait(timeout=15)
        self.process.stdout.close()
        return code

    def client(self, service, region=REGION, access_key="simulator", token=None, attempts=1, **settings):
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.endpoint,
            aws_access_key_id=access_key,
            aws_secret_access_key="not-verified",
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}, **settings),
        )

    def admin(self, method, path, body=None):
        """One call of the admin API; its answer."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.endpoint}/_admin/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def arn(self, resource):
        return f"arn:aws:ses:{REGION}:{ACCOUNT}:{resource}"
