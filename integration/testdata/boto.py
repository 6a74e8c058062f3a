"""Drives the endpoint with boto3 as the environment configures it.

usage: boto.py write|read BUCKET PREFIX DIR
write: stores every file below DIR under PREFIX, then checks what S3 promises.
read:  reads every file below DIR back from PREFIX and compares the bytes.
"""

import hashlib
import os
import sys

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

phase, bucket, prefix, root = sys.argv[1:]
s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 3}))
# One PUT for each file: multipart upload is not what this looks at.
whole = TransferConfig(multipart_threshold=64 << 20)


def files():
    for folder, _, names in os.walk(root):
        for name in sorted(names):
            path = os.path.join(folder, name)
            yield path, prefix + os.path.relpath(path, root)


def expect(what, ok):
    if not ok:
        sys.exit(f"boto3: {what}")


def code(call, **args):
    try:
        call(**args)
    except ClientError as e:
        return e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"]
    return None, 200


def read():
    n = 0
    for path, key in files():
        want = open(path, "rb").read()
        answer = s3.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        got = answer["Body"].read()
        expect(f"{key}: WRONG BYTES: {len(got)} bytes, want {len(want)}", got == want)
        n += 1
    return n


def write():
    want = {}
    for path, key in files():
        s3.upload_file(path, bucket, key, Config=whole)
        want[key] = os.path.getsize(path)
    listed = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, PaginationConfig={"PageSize": 100}):
        for entry in page.get("Contents", []):
            expect(f"{entry['Key']} is listed twice", entry["Key"] not in listed)
            listed[entry["Key"]] = entry["Size"]
    expect(f"lists {len(listed)} keys, want {len(want)}", listed == want)
    return len(want)


def promises():
    key, body = prefix + "promises", bytes(range(256)) * 300
    digest = hashlib.md5(body).hexdigest()
    put = s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="text/x-cairn", Metadata={"color": "grey"})
    expect(f"ETag of put {put['ETag']}", put["ETag"] == f'"{digest}"')
    head = s3.head_object(Bucket=bucket, Key=key)
    expect(f"head {head}", head["ContentLength"] == len(body) and head["ContentType"] == "text/x-cairn"
           and head["Metadata"] == {"color": "grey"} and head["ETag"] == put["ETag"])
    for text, part in (("bytes=0-9", body[:10]), ("bytes=65530-65545", body[65530:65546]), ("bytes=-7", body[-7:]), ("bytes=76000-", body[76000:])):
        answer = s3.get_object(Bucket=bucket, Key=key, Range=text)
        expect(f"range {text}", answer["Body"].read() == part and answer["ResponseMetadata"]["HTTPStatusCode"] == 206)
    expect("range beyond the end", code(s3.get_object, Bucket=bucket, Key=key, Range="bytes=99999-")[1] == 416)
    expect("If-Match of another ETag", code(s3.get_object, Bucket=bucket, Key=key, IfMatch='"0"')[1] == 412)
    expect("If-None-Match of its ETag", code(s3.get_object, Bucket=bucket, Key=key, IfNoneMatch=put["ETag"])[1] == 304)
    expect("put if absent over an object", code(s3.put_object, Bucket=bucket, Key=key, Body=b"x", IfNoneMatch="*") == ("PreconditionFailed", 412))
    expect("the refused put changed it", s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body)
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        s3.put_object(Bucket=bucket, Key=key, Body=body, ChecksumAlgorithm=algorithm)
        answer = s3.get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
        expect(f"{algorithm} is not returned", answer.get("Checksum" + algorithm) and answer["Body"].read() == body)
    wrong, status = code(s3.put_object, Bucket=bucket, Key=key, Body=b"x", ChecksumSHA256="A" * 43 + "=")
    expect(f"a wrong checksum: {wrong} {status}", status == 400)
    expect("the refused put changed it", s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body)
    s3.delete_object(Bucket=bucket, Key=key)
    s3.delete_object(Bucket=bucket, Key=key)
    expect("get after delete", code(s3.get_object, Bucket=bucket, Key=key) == ("NoSuchKey", 404))
    expect("a bucket that is not there", code(s3.list_objects_v2, Bucket=bucket + "-not")[1] == 404)
    expect("the bucket is listed", bucket in [b["Name"] for b in s3.list_buckets()["Buckets"]])
    made = bucket + "-made"
    s3.create_bucket(Bucket=made)
    s3.head_bucket(Bucket=made)
    s3.delete_bucket(Bucket=made)
    expect("head of a removed bucket", code(s3.head_bucket, Bucket=made)[1] == 404)
    expect("a bucket with objects", code(s3.delete_bucket, Bucket=bucket) == ("BucketNotEmpty", 409))
    stranger = boto3.client("s3", aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"], aws_secret_access_key="wrong",
                            config=Config(s3={"addressing_style": "path"}))
    expect("a wrong secret", code(stranger.list_objects_v2, Bucket=bucket) == ("SignatureDoesNotMatch", 403))


if phase == "write":
    n = write()
    promises()
else:
    n = read()
print(f"boto3 {boto3.__version__}: {phase} of {n} files")
