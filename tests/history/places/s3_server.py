"""An S3 server on this machine, that speaks the real protocol and holds what it is sent."""

import json
from contextlib import contextmanager

import requests

KEY = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
MAY_ALL = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"},
}
CALLS_TO_MAKE_A_USER = 3


class Server:
    """A server with one bucket."""

    bucket = "candles"

    def __init__(self, url):
        self.url = url

    def address(self, prefix="history", bucket=bucket):
        """Return what `LIVERMORE_HISTORY` says of a prefix of it."""
        return f"s3://{bucket}/{prefix}?endpoint={self.url}"

    def client(self, service="s3"):
        import boto3

        usual = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
        return boto3.client(service, endpoint_url=self.url, region_name="us-east-1", **usual)

    def user_with_key(self):
        """Return the environment of a user who may do all; from then on nobody else may."""
        requests.post(f"{self.url}/moto-api/reset-auth", data=str(CALLS_TO_MAKE_A_USER), timeout=9)
        iam = self.client("iam")
        iam.create_user(UserName="keeper")
        iam.put_user_policy(UserName="keeper", PolicyName="a", PolicyDocument=json.dumps(MAY_ALL))
        made = iam.create_access_key(UserName="keeper")["AccessKey"]
        return {
            "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
        }


ANYBODY = b"inf"  # so many calls are let in before it looks at who calls


@contextmanager
def s3_server():
    """Run a server; who is to reach it has to allow its address."""
    # Each process reads all tests, and this takes half a second.
    from moto.server import ThreadedMotoServer

    running = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    try:
        server = Server(f"http://127.0.0.1:{running.get_host_and_port()[1]}")
        # What another one in this process was sent is still there.
        requests.post(f"{server.url}/moto-api/reset", timeout=9)
        requests.post(f"{server.url}/moto-api/reset-auth", data=ANYBODY, timeout=9)
        server.client().create_bucket(Bucket=Server.bucket)
        yield server
    finally:
        running.stop()
