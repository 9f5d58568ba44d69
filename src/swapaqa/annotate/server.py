"""The drawing page on the loopback address: who may ask, what for, and nothing else.

A request is answered if it comes to this machine's own name (no other name leads here by DNS), its path begins with the
random token of the page's address, and, where a browser says whose page asks, that page is ours. Everything else gets
403. Paths name one of the fixed routes below; no file name ever comes from a request.
"""

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from hmac import compare_digest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from swapaqa.annotate.box_file import FileChangedError
from swapaqa.annotate.desk import Desk, ForbiddenError
from swapaqa.errors import InputError
from swapaqa.files.foreign_file import reason

ADDRESS = "127.0.0.1"
LARGEST_BODY = 4_000_000  # bytes
SCRIPTS = ("geometry", "boxes", "backend", "stage", "page", "list", "preview", "edit", "keys")  # in this order
ASSETS = {
    "": ("page.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
} | {f"{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in SCRIPTS}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
FOR_SHEETS = HEADERS | {  # they have their style in them, and no script
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'"
}


def asset(name: str) -> bytes:
    """A file of the page, out of the package."""
    return (files("swapaqa.annotate") / "page" / name).read_bytes()


class PageServer(ThreadingHTTPServer):
    """Serves one desk. `port` 0 takes any free one; `url` is what a person opens."""

    daemon_threads = True

    def __init__(self, desk: Desk, port: int = 0) -> None:
        super().__init__((ADDRESS, port), Handler)
        self.desk = desk
        self.token = secrets.token_urlsafe(24)
        self.hosts = {f"{name}:{self.server_port}" for name in (ADDRESS, "localhost")}

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.server_port}/{self.token}/"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: PageServer
    server_version, sys_version = "swapaqa", ""
    protocol_version = "HTTP/1.1"
    timeout: ClassVar[float] = 30

    def do_GET(self) -> None:
        routes = {"list": self._list, "video": self._video, "frame": self._frame, "mask": self._mask}
        self._answer(routes | {"sheet": self._sheet})

    def do_POST(self) -> None:
        self._answer({"save": self._save, "accept": self._accept, "track": self._track, "preview": self._preview})

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the terminal: the path would show the token."""

    def _answer(self, routes: dict[str, Callable[[], None]]) -> None:
        try:
            route = self._route()
            if self.command == "GET" and route in ASSETS:
                name, kind = ASSETS[route]
                self._send(200, asset(name), kind)
            elif route in routes:
                routes[route]()
            else:
                raise ForbiddenError("no such page")
        except ForbiddenError as error:
            self._send_json(403, {"error": str(error)})
        except FileChangedError as error:
            self._send_json(409, {"error": f"{error}: the file was changed by somebody else"})
        except InputError as error:
            self._send_json(422, {"error": str(error)})
        except (KeyError, TypeError, ValueError, AttributeError):
            self._send_json(400, {"error": "not a request of this page"})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except OSError as error:  # a disk that is full or cannot be written: the page keeps what was drawn
            if error.filename is None:
                raise
            self._send_json(422, {"error": f"{error.filename}: cannot be written or read ({reason(error)})"})

    def _route(self) -> str:
        """What is asked for, without the token. ForbiddenError for whoever must not ask."""
        ours = {f"http://{host}" for host in self.server.hosts}
        origin = self.headers.get("Origin")
        if self.headers.get("Host") not in self.server.hosts:
            raise ForbiddenError("wrong host")
        if origin not in ours and (origin is not None or self.command == "POST"):
            raise ForbiddenError("foreign origin")
        if self.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            raise ForbiddenError("foreign page")
        _, token, route, *_ = [*urlsplit(self.path).path.split("/", 2), "", ""]
        if not compare_digest(token.encode(), self.server.token.encode()):
            raise ForbiddenError("wrong token")
        return route

    def _query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}

    def _body(self) -> dict[str, Any]:
        length = int(self.headers["Content-Length"])
        if not 0 <= length <= LARGEST_BODY or self.headers.get_content_type() != "application/json":
            self.close_connection = True
            raise ValueError("no JSON, or too much")
        body = json.loads(self.rfile.read(length))
        if not isinstance(body, dict) or not isinstance(body["id"], str):
            raise ValueError("no video")
        return body

    def _list(self) -> None:
        self._send_json(200, self.server.desk.overview())

    def _video(self) -> None:
        self._send_json(200, self.server.desk.video(self._query()["id"]))

    def _frame(self) -> None:
        query = self._query()
        self._send(200, self.server.desk.frame(query["id"], int(query["n"])), "image/jpeg")

    def _mask(self) -> None:
        query = self._query()
        self._send(200, self.server.desk.mask(query["id"], int(query["n"])), "image/png")

    def _sheet(self) -> None:
        self._send(200, self.server.desk.sheet(self._query()["action"]), "text/html; charset=utf-8", FOR_SHEETS)

    def _save(self) -> None:
        body = self._body()
        text, digest = body["text"], body["digest"]
        if not isinstance(text, str) or not isinstance(digest, str | None):
            raise ValueError("no text")
        self._send_json(200, self.server.desk.save(body["id"], text, digest))

    def _accept(self) -> None:
        body = self._body()
        self._send_json(200, self.server.desk.accept(body["id"], body["digest"], bool(body["accepted"])))

    def _track(self) -> None:
        body = self._body()
        athletes = {
            str(name): {int(frame): [float(value) for value in box] for frame, box in keyframes.items()}
            for name, keyframes in body["athletes"].items()
        }
        self._send_json(200, self.server.desk.propose(body["id"], athletes))

    def _preview(self) -> None:
        body = self._body()
        shown = [(str(name), int(at), [float(side) for side in box]) for name, at, box in body["shown"]]
        picture = self.server.desk.preview(shown, float(body["ratio"]), str(body["variant"]))
        self._send_json(200, {"picture": f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"})

    def _send_json(self, status: int, content: dict[str, Any]) -> None:
        self._send(status, json.dumps(content, allow_nan=False).encode(), "application/json")

    def _send(self, status: int, content: bytes, kind: str, headers: Mapping[str, str] = HEADERS) -> None:
        if status == 403:
            self.close_connection = True  # what is left of its body is not read
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
