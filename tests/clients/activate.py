"""Activates a Marble with gRPC's own Python library and nothing of this project.

Made from the published message table alone: messages are written and read by hand, field by field.

    activate.py HOST:PORT CERT KEY CSR TYPE UUID

CERT and KEY are PEM files, CSR is a DER file. Prints JSON: {"code", "message"} on refusal, else {"files", "env", "argv"} with
base64 values.
"""

import base64
import json
import ssl
import sys

import grpc


def varint(number):
    out = bytearray()
    while True:
        bits, number = number & 0x7F, number >> 7
        out.append(bits | (0x80 if number else 0))
        if not number:
            return bytes(out)


def field(number, data):
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def read_varint(data, at):
    result = shift = 0
    while True:
        byte = data[at]
        result |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return result, at


def fields(data):
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        assert key & 7 == 2, "only length-delimited fields are in the table"
        length, at = read_varint(data, at)
        yield key >> 3, data[at : at + length]
        at += length


def entry(data):
    parts = dict(fields(data))
    return parts.get(1, b"").decode(), base64.b64encode(parts.get(2, b"")).decode()


def read_response(data):
    answer = {"files": {}, "env": {}, "argv": []}
    for number, parameters in fields(data):
        assert number == 1
        for inner, value in fields(parameters):
            if inner == 1:
                name, content = entry(value)
                answer["files"][name] = content
            elif inner == 2:
                name, content = entry(value)
                answer["env"][name] = content
            elif inner == 3:
                answer["argv"].append(value.decode())
    return answer


def main():
    address, cert, key, csr, marble_type, uuid = sys.argv[1:]
    host, port = address.rsplit(":", 1)
    # The server presents the marble root, which is its own trust anchor; a Marble does not verify it.
    server = ssl.get_server_certificate((host, int(port))).encode()
    credentials = grpc.ssl_channel_credentials(server, open(key, "rb").read(), open(cert, "rb").read())
    request = field(2, open(csr, "rb").read()) + field(3, marble_type.encode()) + field(4, uuid.encode())
    options = [("grpc.ssl_target_name_override", "localhost")]
    with grpc.secure_channel(address, credentials, options) as channel:
        activate = channel.unary_unary("/rpc.Marble/Activate")
        try:
            print(json.dumps(read_response(activate(request, timeout=30))))
        except grpc.RpcError as error:
            print(json.dumps({"code": error.code().value[0], "message": error.details()}))


main()
