"""Slack's own library, driven by the tests: `slack_peer.py MODE`, with one line of JSON on
standard input that says what to do, and one line of JSON on standard output for each thing that
happens."""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.models.blocks import Block
from slack_sdk.signature import Clock, SignatureVerifier
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.webhook import WebhookClient


def say(what):
    print(json.dumps(what), flush=True)


def reads(blocks):
    """Parses blocks, validates them, and writes them again."""
    try:
        parsed = Block.parse_all(blocks)
        for block in parsed:
            block.validate_json()
        say({"blocks": [block.to_dict() for block in parsed]})
    except Exception as error:  # whatever it is, it is the library's verdict
        say({"refused": f"{type(error).__name__}: {error}"})


class Told(Clock):
    """A clock that says what it was told."""

    def __init__(self, now):
        self.time = now

    def now(self):
        return self.time


def verifies(asked):
    verifier = SignatureVerifier(asked["secret"], Told(asked["now"]))
    say(verifier.is_valid_request(asked["body"], asked["headers"]))


def call(client, method, arguments):
    try:
        answer = getattr(client, method)(**arguments)
    except SlackApiError as error:
        answer = error.response
    except Exception as error:
        return {"raised": f"{type(error).__name__}: {error}"}
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return {"status": answer.status_code, "headers": headers, "answer": answer.data}


def calls(asked):
    client = WebClient(asked["token"], base_url=asked["api"], retry_handlers=[], timeout=60)
    say([call(client, method, arguments) for method, arguments in asked["calls"]])


def later(asked):
    """Says things at a `response_url`."""
    client = WebhookClient(asked["url"], retry_handlers=[])
    answers = [client.send_dict(body) for body in asked["bodies"]]
    say([[answer.status_code, answer.body] for answer in answers])


def app(asked):
    """An app with a request URL: verifies, opens a modal on clicks, answers later, too."""
    client = WebClient(asked["token"], base_url=asked["api"], retry_handlers=[], timeout=60)
    verifier = SignatureVerifier(asked["secret"], Clock())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            if not verifier.is_valid_request(body, dict(self.headers)):
                say({"refused": self.path})
                return self.answer(401, None)
            fields = {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
            got = json.loads(fields["payload"]) if "payload" in fields else fields
            answer = None
            if got.get("type") == "block_actions":
                later = WebhookClient(got["response_url"]).send(text="noted")
                opened = call(client, "views_open", {"trigger_id": got["trigger_id"], "view": asked["modal"]})
                say({"path": self.path, "got": got, "later": later.status_code, "opened": opened})
            else:
                answer = asked["submission"] if got.get("type") == "view_submission" else asked["command"]
                say({"path": self.path, "got": got})
            self.answer(200, answer)

        def answer(self, status, body):
            body = b"" if body is None else json.dumps(body).encode()
            self.send_response(status)
            if body:
                self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say({"listening": f"http://127.0.0.1:{server.server_address[1]}"})


def socket(asked):
    """An app in Socket Mode."""
    web_client = WebClient(base_url=asked["api"], timeout=60)
    client = SocketModeClient(asked["token"], web_client=web_client, ping_interval=1)
    payload = asked["payload"]

    def take(client, request):
        if payload is not False:
            client.send_socket_mode_response(SocketModeResponse(request.envelope_id, payload))
        say({"type": request.type, "retry": request.retry_attempt, "got": request.payload})

    client.socket_mode_request_listeners.append(take)
    client.connect()
    while not client.is_connected():
        time.sleep(0.01)
    say({"connected": True})


if __name__ == "__main__":
    modes = [reads, verifies, calls, later, app, socket]
    mode = {mode.__name__: mode for mode in modes}[sys.argv[1]]
    mode(json.loads(sys.stdin.readline()))
    if mode in (app, socket):
        # Until nobody wants it any more.
        sys.stdin.read()
