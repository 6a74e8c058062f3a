"""Drives the endpoint with boto3 through one section after the other.

usage: boto_more.py BUCKET FOLDER MIB [SECTION...]
Every section prints its name when all it expects was so.
"""

import base64
import binascii
import hashlib
import io
import os
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

bucket, folder, mib, *wanted = sys.argv[1:]
mib = int(mib)
settings = dict(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, max_pool_connections=130)
s3 = boto3.client("s3", config=Config(**settings))
signer = boto3.client("s3", config=Config(signature_version="s3v4", **settings))


def expect(what, ok):
    if not ok:
        sys.exit(f"boto3: {what}")


def code(call, **args):
    try:
        call(**args)
    except ClientError as e:
        return e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"]
    return None, 200


def noise(n, seed):
    """n bytes that are the same for the same seed."""
    return hashlib.shake_256(str(seed).encode()).digest(n)


def web(url, method="GET", body=None, **headers):
    request = urllib.request.Request(url, method=method, data=body, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as e:
        return e.code, e.read(), e.headers


def transfer():
    """Up and down with 128 threads, and many small ones at once."""
    path = os.path.join(folder, "up")
    body = noise(mib << 20, "transfer")
    with open(path, "wb") as f:
        f.write(body)
    config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=128)
    s3.upload_file(path, bucket, "more/large", Config=config, ExtraArgs={"ContentType": "text/x-large", "Metadata": {"a": "b"}})
    head = s3.head_object(Bucket=bucket, Key="more/large")
    parts = (len(body) + (5 << 20) - 1) // (5 << 20)
    expect(f"head {head}", head["ContentLength"] == len(body) and head["ETag"].endswith(f'-{parts}"')
           and head["ContentType"] == "text/x-large" and head["Metadata"] == {"a": "b"})
    s3.download_file(bucket, "more/large", path, Config=config)
    with open(path, "rb") as f:
        expect("WRONG BYTES of the large one", f.read() == body)
    stream = io.BytesIO()
    s3.download_fileobj(bucket, "more/large", stream, Config=config)
    expect("WRONG BYTES of the stream", stream.getvalue() == body)

    def one(i):
        key, text = f"more/small/{i:04}", noise(100 + 37 * i, i)
        s3.put_object(Bucket=bucket, Key=key, Body=text)
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read() == text

    with ThreadPoolExecutor(128) as pool:
        expect("WRONG BYTES of small ones", all(pool.map(one, range(500))))


def paginators():
    want = [f"pages/{i % 7}/{i:04}" for i in range(230)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b"x"), want))
    want.sort()
    for verb in ("list_objects", "list_objects_v2"):
        for size in (1, 50, 230, 1000):
            if size == 1 and verb == "list_objects":
                size = 3
            pages = list(s3.get_paginator(verb).paginate(Bucket=bucket, Prefix="pages/", PaginationConfig={"PageSize": size}))
            got = [c["Key"] for p in pages for c in p.get("Contents", [])]
            expect(f"{verb} by {size}: {len(got)} keys", got == want)
        for size in (2, 1000):
            pages = s3.get_paginator(verb).paginate(Bucket=bucket, Prefix="pages/", Delimiter="/", PaginationConfig={"PageSize": size})
            got = [c["Prefix"] for p in pages for c in p.get("CommonPrefixes", [])]
            expect(f"{verb} by {size} with a delimiter: {got}", got == [f"pages/{i}/" for i in range(7)])
    after = s3.list_objects_v2(Bucket=bucket, Prefix="pages/", StartAfter=want[100], MaxKeys=3, FetchOwner=True)
    expect(f"start after: {after}", [c["Key"] for c in after["Contents"]] == want[101:104] and after["KeyCount"] == 3 and after["IsTruncated"])
    marker = s3.list_objects(Bucket=bucket, Prefix="pages/", Marker=want[100], MaxKeys=3)
    expect(f"marker: {marker}", [c["Key"] for c in marker["Contents"]] == want[101:104])
    none = s3.list_objects_v2(Bucket=bucket, Prefix="pages/", MaxKeys=0)
    expect(f"max-keys 0: {none}", not none.get("Contents") and not none["IsTruncated"])


def copies():
    body = noise(6 << 20, "copy")
    s3.put_object(Bucket=bucket, Key="copy/from", Body=body, ContentType="text/x-from", Metadata={"m": "1"})
    source = {"Bucket": bucket, "Key": "copy/from"}
    s3.copy_object(Bucket=bucket, Key="copy/to", CopySource=source)
    to = s3.get_object(Bucket=bucket, Key="copy/to")
    expect("copy", to["Body"].read() == body and to["ContentType"] == "text/x-from" and to["Metadata"] == {"m": "1"})
    s3.copy(source, bucket, "copy/parts", Config=TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20))
    expect("copy in parts", s3.get_object(Bucket=bucket, Key="copy/parts")["Body"].read() == body)
    expect("a copy onto itself", code(s3.copy_object, Bucket=bucket, Key="copy/from", CopySource=source) == ("InvalidRequest", 400))
    s3.copy_object(Bucket=bucket, Key="copy/from", CopySource=source, MetadataDirective="REPLACE", Metadata={"m": "2"})
    expect("metadata replaced in place", s3.head_object(Bucket=bucket, Key="copy/from")["Metadata"] == {"m": "2"})
    etag = s3.head_object(Bucket=bucket, Key="copy/from")["ETag"]
    expect("copy if match", code(s3.copy_object, Bucket=bucket, Key="copy/no", CopySource=source, CopySourceIfMatch='"0"') == ("PreconditionFailed", 412))
    expect("copy if none match", code(s3.copy_object, Bucket=bucket, Key="copy/no", CopySource=source, CopySourceIfNoneMatch=etag) == ("PreconditionFailed", 412))
    s3.copy_object(Bucket=bucket, Key="copy/yes", CopySource=source, CopySourceIfMatch=etag)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="copy/range")["UploadId"]
    part = s3.upload_part_copy(Bucket=bucket, Key="copy/range", UploadId=upload, PartNumber=1, CopySource=source, CopySourceRange="bytes=1000-1999")
    s3.complete_multipart_upload(Bucket=bucket, Key="copy/range", UploadId=upload,
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]})
    expect("a part copied from a range", s3.get_object(Bucket=bucket, Key="copy/range")["Body"].read() == body[1000:2000])


def deletes():
    keys = [f"delete/{i}" for i in range(1000)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda key: s3.put_object(Bucket=bucket, Key=key, Body=b"x"), keys[:300]))
    said = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": k} for k in keys]})
    expect(f"delete_objects: {len(said.get('Deleted', []))} deleted, {said.get('Errors')}", len(said["Deleted"]) == 1000 and not said.get("Errors"))
    expect("they are gone", "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="delete/"))
    s3.put_object(Bucket=bucket, Key="delete/if", Body=b"x")
    expect("delete if match of another", code(s3.delete_object, Bucket=bucket, Key="delete/if", IfMatch='"0"') == ("PreconditionFailed", 412))
    s3.delete_object(Bucket=bucket, Key="delete/if", IfMatch=s3.head_object(Bucket=bucket, Key="delete/if")["ETag"])
    expect("delete if match", code(s3.head_object, Bucket=bucket, Key="delete/if")[1] == 404)


def presigned():
    body = noise(100_000, "presigned")
    url = signer.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "pre/a b+c", "ContentType": "text/x-pre"}, ExpiresIn=60)
    expect("put without the signed header", web(url, "PUT", body, **{"Content-Type": "text/other"})[0] == 403)
    expect("put", web(url, "PUT", body, **{"Content-Type": "text/x-pre"})[0] == 200)
    url = signer.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "pre/a b+c", "ResponseContentType": "text/x-else",
                                                              "ResponseContentDisposition": 'attachment; filename="x"'}, ExpiresIn=60)
    status, got, headers = web(url)
    expect(f"get: {status}", status == 200 and got == body and headers["Content-Type"] == "text/x-else" and headers["Content-Disposition"] == 'attachment; filename="x"')
    status, got, _ = web(url, Range="bytes=99990-")
    expect(f"get a range: {status}", status == 206 and got == body[99990:])
    upload = s3.create_multipart_upload(Bucket=bucket, Key="pre/parts")["UploadId"]
    parts = []
    for number in (2, 1):
        url = signer.generate_presigned_url("upload_part", Params={"Bucket": bucket, "Key": "pre/parts", "UploadId": upload, "PartNumber": number}, ExpiresIn=60)
        status, text, headers = web(url, "PUT", noise(5 << 20, number))
        expect(f"upload part {number}: {status} {text}", status == 200)
        parts.insert(0, {"PartNumber": number, "ETag": headers["ETag"]})
    s3.complete_multipart_upload(Bucket=bucket, Key="pre/parts", UploadId=upload, MultipartUpload={"Parts": parts})
    expect("parts", s3.get_object(Bucket=bucket, Key="pre/parts")["Body"].read() == noise(5 << 20, 1) + noise(5 << 20, 2))


def conditions():
    key = "conditions"
    etag = s3.put_object(Bucket=bucket, Key=key, Body=b"one", IfNoneMatch="*")["ETag"]
    head = s3.head_object(Bucket=bucket, Key=key)
    expect("put if absent", code(s3.put_object, Bucket=bucket, Key=key, Body=b"x", IfNoneMatch="*") == ("PreconditionFailed", 412))
    expect("put if match of what is not there", code(s3.put_object, Bucket=bucket, Key=key + "-not", Body=b"x", IfMatch=etag)[1] in (404, 412))
    expect("304 by ETag", code(s3.get_object, Bucket=bucket, Key=key, IfNoneMatch=etag)[1] == 304)
    expect("304 by time", code(s3.get_object, Bucket=bucket, Key=key, IfModifiedSince=head["LastModified"])[1] == 304)
    expect("412 by time", code(s3.get_object, Bucket=bucket, Key=key, IfUnmodifiedSince="Mon, 01 Jan 2001 00:00:00 GMT")[1] == 412)
    s3.put_object(Bucket=bucket, Key=key, Body=b"two", IfMatch=etag)
    expect("put if match, again", code(s3.put_object, Bucket=bucket, Key=key, Body=b"x", IfMatch=etag) == ("PreconditionFailed", 412))
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"three")
    done = dict(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    expect("complete if absent", code(s3.complete_multipart_upload, IfNoneMatch="*", **done) == ("PreconditionFailed", 412))
    expect("two is there", s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"two")
    s3.complete_multipart_upload(**done)
    expect("three is there", s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"three")


def attributes():
    body = noise(12 << 20, "attributes")
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    s3.put_object(Bucket=bucket, Key="attributes/one", Body=body, ChecksumAlgorithm="SHA256")
    every = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    got = s3.get_object_attributes(Bucket=bucket, Key="attributes/one", ObjectAttributes=every)
    expect(f"of one: {got}", got["ObjectSize"] == len(body) and got["Checksum"]["ChecksumSHA256"] == digest
           and got["ETag"].strip('"') == hashlib.md5(body).hexdigest() and not got.get("ObjectParts", {}).get("Parts"))
    upload = s3.create_multipart_upload(Bucket=bucket, Key="attributes/parts", ChecksumAlgorithm="SHA256")["UploadId"]
    parts, sums = [], b""
    for i in range(3):
        part = body[i * (5 << 20):(i + 1) * (5 << 20)]
        said = s3.upload_part(Bucket=bucket, Key="attributes/parts", UploadId=upload, PartNumber=i + 1, Body=part, ChecksumAlgorithm="SHA256")
        sums += hashlib.sha256(part).digest()
        parts.append({"PartNumber": i + 1, "ETag": said["ETag"], "ChecksumSHA256": said["ChecksumSHA256"]})
    composite = base64.b64encode(hashlib.sha256(sums).digest()).decode()
    done = s3.complete_multipart_upload(Bucket=bucket, Key="attributes/parts", UploadId=upload, MultipartUpload={"Parts": parts})
    expect(f"composite {done}", done.get("ChecksumSHA256") == composite + "-3")
    got = s3.get_object_attributes(Bucket=bucket, Key="attributes/parts", ObjectAttributes=every)
    expect(f"of parts: {got}", got["ObjectSize"] == len(body) and got["ObjectParts"]["TotalPartsCount"] == 3
           and got["Checksum"]["ChecksumSHA256"].split("-")[0] == composite)
    second = s3.get_object(Bucket=bucket, Key="attributes/parts", PartNumber=2)
    expect("part 2", second["Body"].read() == body[5 << 20:10 << 20] and second["PartsCount"] == 3)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="attributes/full", ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")["UploadId"]
    parts = []
    for i in range(3):
        said = s3.upload_part(Bucket=bucket, Key="attributes/full", UploadId=upload, PartNumber=i + 1, Body=body[i * (5 << 20):(i + 1) * (5 << 20)], ChecksumAlgorithm="CRC32")
        parts.append({"PartNumber": i + 1, "ETag": said["ETag"], "ChecksumCRC32": said["ChecksumCRC32"]})

    crc = base64.b64encode(binascii.crc32(body).to_bytes(4, "big")).decode()
    done = s3.complete_multipart_upload(Bucket=bucket, Key="attributes/full", UploadId=upload, MultipartUpload={"Parts": parts}, ChecksumType="FULL_OBJECT")
    expect(f"full object {done}", done.get("ChecksumCRC32") == crc and done.get("ChecksumType") == "FULL_OBJECT")
    got = s3.get_object(Bucket=bucket, Key="attributes/full", ChecksumMode="ENABLED")
    expect("full object", got["Body"].read() == body and got["ChecksumCRC32"] == crc)


def tags():
    s3.put_object(Bucket=bucket, Key="tags", Body=b"x", Tagging="a=1&b%20c=%C3%BC")
    expect("tags of the put", s3.get_object_tagging(Bucket=bucket, Key="tags")["TagSet"] == [{"Key": "a", "Value": "1"}, {"Key": "b c", "Value": "ü"}])
    expect("tag count", s3.get_object(Bucket=bucket, Key="tags").get("TagCount") == 2)
    ten = [{"Key": f"k{i}", "Value": ""} for i in range(10)]
    before = s3.head_object(Bucket=bucket, Key="tags")
    s3.put_object_tagging(Bucket=bucket, Key="tags", Tagging={"TagSet": ten})
    expect("ten tags", s3.get_object_tagging(Bucket=bucket, Key="tags")["TagSet"] == ten)
    expect("tags leave the object as it is", s3.head_object(Bucket=bucket, Key="tags")["LastModified"] == before["LastModified"])
    expect("eleven tags", code(s3.put_object_tagging, Bucket=bucket, Key="tags", Tagging={"TagSet": ten + [{"Key": "k", "Value": ""}]})[1] == 400)
    expect("a tag twice", code(s3.put_object_tagging, Bucket=bucket, Key="tags", Tagging={"TagSet": [ten[0], ten[0]]})[1] == 400)
    s3.delete_object_tagging(Bucket=bucket, Key="tags")
    expect("no tags", s3.get_object_tagging(Bucket=bucket, Key="tags")["TagSet"] == [])
    expect("tags of nothing", code(s3.get_object_tagging, Bucket=bucket, Key="tags-not") == ("NoSuchKey", 404))


def cors():
    expect("no rules", code(s3.get_bucket_cors, Bucket=bucket) == ("NoSuchCORSConfiguration", 404))
    rules = [{"AllowedOrigins": ["https://*.example.org"], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["*"], "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 60}]
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
    expect("rules", s3.get_bucket_cors(Bucket=bucket)["CORSRules"] == rules)
    s3.put_object(Bucket=bucket, Key="cors", Body=b"x")
    url = signer.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "cors"}, ExpiresIn=60)
    status, _, headers = web(url, "OPTIONS", Origin="https://a.example.org", **{"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-amz-date"})
    expect(f"preflight: {status} {dict(headers)}", status == 200 and headers["Access-Control-Allow-Origin"] in ("*", "https://a.example.org")
           and "PUT" in headers["Access-Control-Allow-Methods"])
    expect("preflight of a stranger", web(url, "OPTIONS", Origin="https://example.com", **{"Access-Control-Request-Method": "PUT"})[0] == 403)
    status, _, headers = web(url, Origin="https://a.example.org")
    expect(f"get: {status} {dict(headers)}", status == 200 and headers["Access-Control-Allow-Origin"] in ("*", "https://a.example.org")
           and headers["Access-Control-Expose-Headers"] == "ETag")
    expect("get of a stranger", web(url, Origin="https://example.com")[2]["Access-Control-Allow-Origin"] is None)
    s3.delete_bucket_cors(Bucket=bucket)
    expect("no rules again", code(s3.get_bucket_cors, Bucket=bucket) == ("NoSuchCORSConfiguration", 404))


sections = [transfer, paginators, copies, deletes, presigned, conditions, attributes, tags, cors]
for section in sections:
    if not wanted or section.__name__ in wanted:
        section()
        print(section.__name__)
