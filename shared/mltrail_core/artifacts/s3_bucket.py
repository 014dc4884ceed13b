"""How the S3 adapter names its keys, reaches its bucket and reports what botocore raises."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.loaders import Loader, create_loader

from mltrail_core.artifacts import BLOBS, UNFINISHED
from mltrail_core.artifacts.direct import UPLOADS
from mltrail_core.errors import Conflict, NotFound, Unavailable

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0
"""For one answer; a server-side copy of one part (512 MiB) is the slowest thing asked for."""
MAX_ATTEMPTS = 4
MAX_CONNECTIONS = 64

_ADVICE = {
    "NoSuchBucket": "create the bucket or correct the artifacts URL",
    "AccessDenied": "allow this key to get, put, delete and list in the bucket",
    "InvalidAccessKeyId": "check AWS_ACCESS_KEY_ID and the endpoint",
    "NoSuchUpload": "it was swept or aborted meanwhile; upload it again",
    "SignatureDoesNotMatch": "check AWS_SECRET_ACCESS_KEY and AWS_DEFAULT_REGION",
}
_KEY_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
_OTHER_CONTENT = frozenset({"PreconditionFailed", "412"})


@dataclass(frozen=True, slots=True)
class S3Bucket:
    """A bucket, a prefix in it ("" or ending in a slash), and the client that reaches it."""

    client: S3Client
    name: str
    prefix: str

    @property
    def blobs_prefix(self) -> str:
        """What the keys of finished blobs begin with."""
        return f"{self.prefix}{BLOBS}/"

    @property
    def unfinished_prefix(self) -> str:
        """What the keys of unfinished uploads begin with."""
        return f"{self.prefix}{UNFINISHED}/"

    @property
    def uploads_prefix(self) -> str:
        """What the keys of what clients brought themselves begin with."""
        return f"{self.prefix}{UPLOADS}/"


def s3_client(endpoint_url: str | None, region: str | None) -> S3Client:
    """Return a client, safe for threads; what is None comes from boto3's own environment variables and files."""
    core = botocore.session.Session()
    core.register_component("data_loader", _service_descriptions())
    client: S3Client = boto3.Session(region_name=region, botocore_session=core).client(
        "s3",
        endpoint_url=endpoint_url,
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
            max_pool_connections=MAX_CONNECTIONS,
            signature_version="s3v4",  # URLs signed by version 2 are refused by many services
            s3={"addressing_style": "path"},
            # Trailing checksums, boto3's default since 1.36, are refused by many S3 services; ours are sent explicitly.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    return client


@cache
def _service_descriptions() -> Loader:
    """Return what botocore knows of services, parsed once: for each client anew it cost 120 of its 140 ms."""
    return create_loader()


def error_code(error: ClientError) -> str:
    """Return S3's code of an error, as "NoSuchKey", or the HTTP status where there is no body (HEAD)."""
    return error.response.get("Error", {}).get("Code", "")


def is_key_missing(error: ClientError) -> bool:
    """Return whether S3 says that there is no such key."""
    return error_code(error) in _KEY_MISSING


@contextlib.contextmanager
def translated(action: str, *, missing: str | None = None) -> Iterator[None]:
    """Raise botocore's errors as `Unavailable`, as `NotFound(missing)` when a key that may be missing is, and as
    `Conflict` when a condition on the content was given and does not hold."""
    try:
        yield
    except ClientError as error:
        if missing is not None and is_key_missing(error):
            raise NotFound(missing) from error
        code = error_code(error)
        if code in _OTHER_CONTENT:
            raise Conflict(f"cannot {action}: there are other bytes now") from error
        advice = _ADVICE.get(code, "try again later")
        message = error.response.get("Error", {}).get("Message", "")
        raise Unavailable(f"cannot {action}: S3 answered {code} {message!r}; {advice}") from error
    except NoCredentialsError as error:
        raise Unavailable(
            f"cannot {action}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        ) from error
    except BotoCoreError as error:
        raise Unavailable(f"cannot {action}: {error}") from error
