"""A program of ours as the command line sees it: bodies that are answered in turn."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Program(http.server.ThreadingHTTPServer):
    """What is asked: *bodies* are its answers in turn, the last one for ever."""

    daemon_threads = True

    def __init__(self, *bodies: object, status: int = 200) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.bodies, self.status = list(bodies), status
        self.asked: list[str] = []
        self.done = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Asked(http.server.BaseHTTPRequestHandler):
    server: Program

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        bodies = self.server.bodies
        body = bodies.pop(0) if len(bodies) > 1 else bodies[0]
        if body is None:
            self.server.done.wait(10.0)
            return
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:9/")
        self.end_headers()
        self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def programs() -> Iterator[Callable[..., Program]]:
    """Yield what starts one; all of them end with it."""
    running: list[tuple[Program, threading.Thread]] = []

    def start(*bodies: object, **how) -> Program:
        server = Program(*bodies, **how)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.done.set()
        server.shutdown()
        thread.join()
        server.server_close()
