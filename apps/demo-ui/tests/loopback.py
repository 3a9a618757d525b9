"""A server on loopback, which the stand-ins are."""

import threading
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class Loopback:
    """Answers requests for as long as its `with` block. A subclass says what, in `reply`."""

    def __init__(self, port: int = 0):
        self.port = port

    def reply(self, method: str, target: str, headers: Message, content: bytes) -> tuple[int, dict[str, str], bytes] | None:
        """Status, headers and body of the answer; None closes the connection without one."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.answer("GET", b"")

            def do_POST(self):
                self.answer("POST", self.rfile.read(int(self.headers["Content-Length"])))

            def answer(self, method, content):
                reply = stand_in.reply(method, self.path, self.headers, content)
                if reply is None:
                    self.close_connection = True
                    return
                status, headers, body = reply
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.server.shutdown()
        self.server.server_close()
