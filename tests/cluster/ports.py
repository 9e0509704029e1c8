"""What a stranger learns at each port of a host. Run on another host, without a token: `python ports.py ADDRESS PORT...`.

Prints a JSON object, port to one of: `metrics` (numbers, read by Prometheus), `asks for a token`, and anything else in words.
"""

import http.client
import json
import sys
import urllib.error
import urllib.request

import grpc

CALLS = (
    "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo",  # the GCS
    "/ray.rpc.NodeManagerService/GetNodeStats",  # a raylet
    "/ray.rpc.ObjectManagerService/FreeObjects",  # its object manager
    "/ray.rpc.ReporterService/GetTraceback",  # a node's agent
    "/ray.rpc.RayletDriver/ClusterInfo",  # the server of Ray's client
)
"""One call of each of Ray's gRPC servers that listen beyond loopback; a server knows its own and no other."""


def ask(address: str, port: int) -> str:
    """What a port says without a token: by HTTP, then by gRPC."""
    try:
        with urllib.request.urlopen(f"http://{address}:{port}/metrics", timeout=5) as answer:
            return "metrics" if answer.read().startswith(b"# HELP") else "answers"
    except urllib.error.HTTPError as error:
        return "asks for a token" if error.code == 401 else f"HTTP {error.code}"
    except (OSError, ValueError, http.client.HTTPException):
        return ask_grpc(address, port)


def ask_grpc(address: str, port: int) -> str:
    """The same by gRPC."""
    codes = set()
    with grpc.insecure_channel(f"{address}:{port}") as channel:
        for call in CALLS:
            try:
                channel.unary_unary(call)(b"", timeout=5)
                codes.add("OK")
            except grpc.RpcError as error:
                codes.add(error.code().name)
    return "asks for a token" if codes in ({"UNAUTHENTICATED"}, {"UNAUTHENTICATED", "UNIMPLEMENTED"}) else f"gRPC {sorted(codes)}"


if __name__ == "__main__":
    print(json.dumps({port: ask(sys.argv[1], int(port)) for port in sys.argv[2:]}))
