# SPDX-License-Identifier: Apache-2.0
"""Sluice's Python runtime: a Lambda Runtime API client and the loop around the user's handler.

Data flow: `main()` arranges sys.path and output, imports the handler, and serves: one event in, one answer out. The
answer to an event and the request for the next one leave in ONE write, and two responses are read back in order, so a
warm invocation costs one system call each way. The server may hold the 202 back until the next event is there.

Start-up is most of a cold start, so this module imports nothing but built-in C modules: `_socket` instead of `socket`,
`_json`'s scanner and encoder instead of `json` (which pulls in `re` and `enum`, ~8 ms). What is needed only when
something goes wrong (faults.py), when the user logs (logs.py) or when a result holds unusual types (encoding.py) is
loaded at that moment. CPython only, 3.9 and later.

Invariants: one request of ours is outstanding at most besides the pipelined `next`; `Api.owed` counts the answers to
posts that have not been read yet. Behaviour (messages, log lines, types) follows AWS's interface client for Python.
"""

import os
import sys
from time import monotonic_ns, time

import _io
import _json
import _socket

NEXT_WAIT = 30 * 86400  # seconds for the next event: no limit at all
# The Runtime API's address in a sandbox, and the Unix socket that leads to the same place at a third of the cost. Any other
# address is somebody's proxy, and must be used.
SANDBOX_API = "127.0.0.1:9001"
SANDBOX_SOCKET = "/run/sluice/runtime.sock"
USER_AGENT = "sluice-python/1"
API_VERSION = "/2018-06-01/runtime/"
MAX_HEAD = 1 << 20  # Lambda-Runtime-Client-Context and friends are small; a longer head is not HTTP from our server.
EVENT, HEAD = 0x45, 16  # a lane's frames
LANE_FIELDS = (b"lambda-runtime-aws-request-id", b"lambda-runtime-deadline-ms", b"lambda-runtime-invoked-function-arn",
               b"lambda-runtime-trace-id", b"lambda-runtime-client-context", b"lambda-runtime-aws-tenant-id")
BELL_NS = 500000  # the longest that answers are kept from the server while others are worked on
MAX_BODY = 6291556  # a larger one is refused over HTTP, as everywhere
EXIT_WAIT = 2.0  # seconds to wait for the answer to a post after which the process ends anyway


class Closed(Exception):
    """The connection ended where a response was due."""


class Refused(Exception):
    """The Runtime API answered in a way after which this process cannot go on."""


class Fault(Exception):
    """A failure with one of AWS's Runtime.* types. `trace` is a list of formatted lines, or None."""

    def __init__(self, kind, message, trace=None):
        self.kind, self.message, self.trace = kind, message, trace


class Api:
    """The client: one persistent connection, requests written whole, responses read in order."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self._peers = [(_socket.AF_INET, (host, int(port)))]
        if address == SANDBOX_API:
            self._peers.insert(0, (_socket.AF_UNIX, SANDBOX_SOCKET))
        self._tail = ("\r\nHost: %s\r\nUser-Agent: %s\r\n" % (address, USER_AGENT)).encode()
        self._next = b"GET " + (API_VERSION + "invocation/next HTTP/1.1").encode() + self._tail + b"\r\n"
        self._ask = self._next[:-2] + b"Sluice-Lane: 1\r\n\r\n" if len(self._peers) > 1 else self._next
        self._sock = None
        self._buf = b""
        self.owed = 0
        self._lane = False
        self._bell = None
        self._more_follow = self._ringing = False
        self._unrung = 0

    def _connect(self):
        if self._sock is not None:
            self._sock.close()
        if self._bell is not None:
            self._bell.close()
            self._bell = None
        self._buf, self.owed, self._lane = b"", 0, False
        self._ringing, self._unrung = False, 0
        family, peer = self._peers[0]
        self._sock = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        if family == _socket.AF_INET:
            self._sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
        try:
            self._sock.connect(peer)
        except OSError:
            if len(self._peers) == 1:
                raise
            del self._peers[0]  # not in a sandbox that has the socket
            self._connect()
        # With a time-out, however long, Python waits in poll(). Who waits in recv() on a Unix socket is woken also when the
        # peer takes what was sent, in vain.
        self._sock.settimeout(NEXT_WAIT)

    def _post(self, path, body, content_type, fields):
        head = "POST %s%s HTTP/1.1" % (API_VERSION, path)
        rest = "Content-Type: %s\r\n%sContent-Length: %d\r\n\r\n" % (content_type, fields, len(body))
        return head.encode() + self._tail + rest.encode() + body

    def settle(self, path, body, content_type, error_type=None):
        """Posts the outcome of the current invocation and asks for the next one, in one write."""
        if self._lane:
            if self._answer(body, content_type, error_type):
                return
            self._connect()
        fields = "Lambda-Runtime-Function-Error-Type: %s\r\n" % header_text(error_type) if error_type else ""
        try:
            self._sock.sendall(self._post(path, body, content_type, fields) + self._ask)
            self.owed = 1
        except OSError:
            # The server may refuse a body before it has read all of it and hang up; its answer, if any, is lost.
            self._connect()
            self._sock.sendall(self._ask)

    def post_last(self, path, body, error_type):
        """Posts something after which the process ends: asks the server to answer now, and does not insist."""
        fields = "Lambda-Runtime-Function-Error-Type: %s\r\nConnection: close\r\n" % header_text(error_type)
        self._connect()
        self._sock.settimeout(EXIT_WAIT)
        self._sock.sendall(self._post(path, body, "application/json", fields))
        self._response()

    def leave(self):
        """Closes the connection, so that none is open in an image of this process."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def restore(self):
        """Says that all that comes before a snapshot is done; returns when an environment is restored from it."""
        try:
            if self._sock is None:
                self._connect()
            self._sock.sendall(b"GET " + (API_VERSION + "restore/next HTTP/1.1").encode() + self._tail + b"\r\n")
            status, _, body = self._response()
        except (Closed, OSError) as e:
            raise Refused("the Runtime API cannot be reached: %s" % e) from None
        if status != 200:
            raise Refused("the Runtime API answered %d to restore: %s" % (status, body.decode("utf-8", "replace")))

    def ask(self):
        """Asks for the first event on the connection there is."""
        try:
            self._sock.sendall(self._next)
        except OSError:
            self._sock = None  # next() makes another

    def next(self):
        """The next event: (headers with lower-case names, body). Raises Refused when there will be none."""
        try:
            if self._sock is None:
                self._connect()
                self._sock.sendall(self._ask)
            try:
                return self._next_event()
            except (Closed, ConnectionError):
                # An HTTP server may close a connection between requests, and does after refusing a body.
                self._connect()
                self._sock.sendall(self._ask)
                return self._next_event()
        except Closed:
            raise Refused("the Runtime API closed the connection") from None
        except OSError as e:
            raise Refused("the Runtime API cannot be reached: %s" % e) from None

    def _next_event(self):
        if self._lane:
            return self._lane_event()
        while self.owed:
            status, headers, body = self._response()
            self.owed -= 1
            if status >= 500:
                raise Refused("the Runtime API answered %d: %s" % (status, body.decode("utf-8", "replace")))
            if status != 202:
                sys.stderr.write("[ERROR] Runtime API answered %d: %s\n" % (status, body.decode("utf-8", "replace")))
            if headers.get(b"connection", b"").lower() == b"close":
                raise Closed
        if not self._buf:
            self._more()
        if self._buf[0] == EVENT:
            self._lane = True
            return self._lane_event()
        status, headers, body = self._response()
        if status != 200:
            raise Refused("the Runtime API answered %d to next: %s" % (status, body.decode("utf-8", "replace")))
        return headers, body

    # The lane: frames instead of HTTP, see src/runtime/lane.c. Further events may be here while one is in work. The next one
    # may be begun exactly when the answer to the one before was written whole. If that fails, or when the function printed
    # while others may be behind, the lane is left (settle), and events that are here and not begun are forgotten.

    def _lane_event(self):
        while len(self._buf) < HEAD:
            self._more()
        buf = self._buf
        if buf[0] != EVENT:
            raise Closed
        flags, size = buf[1], int.from_bytes(buf[4:8], "little")
        length, timeout = int.from_bytes(buf[8:12], "little"), int.from_bytes(buf[12:16], "little")
        while len(self._buf) < HEAD + size:
            self._more()
        buf = self._buf
        values = buf[HEAD : HEAD + size].split(b"\n")
        self._buf = buf[HEAD + size :]
        body = self._exactly(length)
        self._more_follow = flags & 1
        if flags & 2:
            self._ringing = True
            values[1] = b"%d" % (time() * 1000 + timeout)
        State.printed = False
        return {name: value for name, value in zip(LANE_FIELDS, values) if value}, body

    def _answer(self, body, content_type, error_type):
        """By the lane; False: it is to be done over HTTP."""
        if (self._more_follow and State.printed) or len(body) > MAX_BODY:
            return False
        kind = header_text(error_type or content_type)[:1024].encode()
        now = monotonic_ns()
        first = 0x41 | (0x100 if error_type else 0) | len(kind) << 16
        times = (now % 1000000000) << 96 | (now // 1000000000) << 64
        head = (times | len(body) << 32 | first).to_bytes(HEAD, "little")
        try:
            self._sock.sendall(head + kind + body)
            if self._ringing:
                self._batch_answered(now)
        except OSError:
            return False
        return True

    def _event_is_here(self):
        buf = self._buf
        if len(buf) < HEAD:
            return False
        return len(buf) >= HEAD + int.from_bytes(buf[4:8], "little") + int.from_bytes(buf[8:12], "little")

    def _batch_answered(self, now):
        more = self._event_is_here()
        if more and now - (self._unrung or now) < BELL_NS:
            self._unrung = self._unrung or now
            return
        self._ringing, self._unrung = more, 0
        try:
            if self._bell is None:
                self._bell = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
                self._bell.connect(SANDBOX_SOCKET)
                self._bell.sendall(b"GET " + (API_VERSION + "invocation/bell HTTP/1.1").encode() + self._tail + b"\r\n")
            else:
                self._bell.sendall(b"!")
        except OSError:
            # What is answered is answered. The end of the lane tells the server, and us when we wait for the next event.
            self._sock.shutdown(_socket.SHUT_WR)

    def _response(self):
        while True:
            end = self._buf.find(b"\r\n\r\n")
            while end < 0:
                if len(self._buf) > MAX_HEAD:
                    raise Refused("the Runtime API sent an endless header")
                self._more()
                end = self._buf.find(b"\r\n\r\n")
            lines = self._buf[:end].split(b"\r\n")
            self._buf = self._buf[end + 4 :]
            status = int(lines[0][9:12])
            if status >= 200:
                break  # 1xx are interim answers without a body (RFC 9110, 15.2)
        headers = {}
        for i in range(1, len(lines)):
            name, _, value = lines[i].partition(b":")
            headers[name.lower()] = value.strip()
        if b"transfer-encoding" in headers:
            return status, headers, self._chunked()
        return status, headers, self._exactly(int(headers.get(b"content-length", 0)))

    def _more(self):
        data = self._sock.recv(65536)
        if not data:
            raise Closed
        self._buf = self._buf + data if self._buf else data

    def _exactly(self, length):
        buf = self._buf
        have = len(buf)
        if have >= length:
            self._buf = buf[length:]
            return buf[:length]
        whole = bytearray(length)
        whole[:have] = buf
        self._buf = b""
        view = memoryview(whole)
        while have < length:
            got = self._sock.recv_into(view[have:])
            if not got:
                raise Closed
            have += got
        return bytes(whole)

    def _line(self):
        while True:
            end = self._buf.find(b"\r\n")
            if end >= 0:
                line, self._buf = self._buf[:end], self._buf[end + 2 :]
                return line
            if len(self._buf) > MAX_HEAD:
                raise Refused("the Runtime API sent an endless line")
            self._more()

    def _chunked(self):
        parts = []
        while True:
            size = int(self._line().partition(b";")[0], 16)
            if size == 0:
                break
            parts.append(self._exactly(size))
            self._line()
        while self._line():
            pass  # trailers carry nothing for an event
        return b"".join(parts)


def header_text(text):
    """A header value that no error type of the user's can break out of."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)


# ---------------------------------------------------------------------------------------------- JSON


def _no_constant(name):
    raise ValueError(name)


class _Strict:
    """What the C scanner reads its options from; the same as json.JSONDecoder's, but NaN and Infinity are refused."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_no_constant)
    memo = {}


_scan = _json.make_scanner(_Strict)
_BLANKS = b" \t\n\r"


def decode(body):
    """The event as Python values. Anything the fast way refuses goes through `json`, which words the error."""
    try:
        text = body.strip(_BLANKS).decode("utf-8")
        value, end = _scan(text, 0)
        if end == len(text):
            return value
    except Exception:
        pass
    from . import encoding

    return encoding.decode(body)


def refuse(value):
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


_markers = {}
_encode = None  # set by take_environment


def _make_encoder():
    # From python3.12 on AWS leaves other scripts as they are; before, everything outside ASCII is escaped.
    escape = os.environ.get("AWS_EXECUTION_ENV", "").rpartition("python3.")[2] in ("", "8", "9", "10", "11")
    quote = _json.encode_basestring_ascii if escape else _json.encode_basestring
    return _json.make_encoder(_markers, refuse, quote, None, ": ", ", ", False, False, True)


_LEAVES = frozenset((str, int, float, bool, type(None)))


def _plain(values):
    """True if there are only types which the C encoder and AWS's simplejson treat alike, all the way down."""
    for value in values:
        kind = type(value)
        if kind in _LEAVES:
            continue
        if kind is dict:
            if not _plain(value.values()):
                return False
        elif kind is list or kind is tuple:
            if not _plain(value):
                return False
        else:
            return False
    return True


def encode_plain(value):
    """JSON text of plain values. Raises TypeError or ValueError; leaves no trace of a failure behind."""
    try:
        return "".join(_encode(value, 0))
    except Exception:
        _markers.clear()
        raise


def encode(value):
    """JSON text of any value AWS's encoder accepts."""
    try:
        if _plain((value,)):
            return encode_plain(value)
    except Exception:
        pass
    from . import encoding

    return encoding.encode(value)


def marshal(result):
    """(body, content type) of a handler's result."""
    if isinstance(result, bytes):
        return result, "application/unknown"
    try:
        return encode(result).encode("utf-8"), "application/json"
    except Exception as e:
        raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % e) from None


# ---------------------------------------------------------------------------------------------- context


class _Record:
    """Attribute bag with AWS's attribute names and its repr."""

    __slots__ = ()

    @classmethod
    def of(cls, values):
        if values is None:
            return None
        self = cls()
        for name in cls.__slots__:
            setattr(self, name, values.get(name))
        return self

    def __repr__(self):
        fields = ",".join("%s=%s" % (name, getattr(self, name, None)) for name in self.__slots__)
        return "%s([%s])" % (type(self).__name__, fields)


class CognitoIdentity(_Record):
    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")


class Client(_Record):
    __slots__ = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")


class ClientContext(_Record):
    __slots__ = ("custom", "env", "client")


_W3C_FIELDS = ("traceparent", "tracestate", "baggage")


class LambdaContext:
    """What the handler gets as its second argument."""

    # The same for all invocations of an environment, so attributes of the class: set once, by take_environment.
    log_group_name = log_stream_name = function_name = memory_limit_in_mb = function_version = None

    def __init__(self, request_id, headers):
        self.aws_request_id = request_id
        self.invoked_function_arn = _text(headers, b"lambda-runtime-invoked-function-arn")
        self.tenant_id = _text(headers, b"lambda-runtime-aws-tenant-id")
        self._epoch_deadline_time_in_ms = int(headers.get(b"lambda-runtime-deadline-ms", 0))
        self._w3c_fields = {}
        self.client_context = None
        identity = {}
        if b"lambda-runtime-client-context" in headers:
            self._set_client_context(_json_header(headers, b"lambda-runtime-client-context", "Client Context"))
        if b"lambda-runtime-cognito-identity" in headers:
            identity = _json_header(headers, b"lambda-runtime-cognito-identity", "Cognito Identity") or {}
        self.identity = CognitoIdentity()
        self.identity.cognito_identity_id = identity.get("cognitoIdentityId")
        self.identity.cognito_identity_pool_id = identity.get("cognitoIdentityPoolId")

    def _set_client_context(self, values):
        if isinstance(values, dict):
            w3c = values.pop("w3c", None)
            if isinstance(w3c, dict):
                self._w3c_fields = {k: w3c[k] for k in _W3C_FIELDS if isinstance(w3c.get(k), str)}
        self.client_context = ClientContext.of(values)
        if self.client_context is not None:
            self.client_context.client = Client.of(self.client_context.client)

    def get_remaining_time_in_millis(self):
        left = self._epoch_deadline_time_in_ms - int(time() * 1000)
        return left if left > 0 else 0

    def w3c(self):
        """The W3C trace context of this invocation."""
        return dict(self._w3c_fields)

    def log(self, msg):
        sys.stdout.write(str(msg))

    def __repr__(self):
        names = ("aws_request_id", "log_group_name", "log_stream_name", "function_name", "memory_limit_in_mb",
                 "function_version", "invoked_function_arn", "client_context", "identity", "tenant_id")
        return "LambdaContext([%s])" % ",".join("%s=%s" % (n, getattr(self, n)) for n in names)


def _text(headers, name):
    value = headers.get(name)
    return None if value is None else value.decode("utf-8", "replace")


def _json_header(headers, name, label):
    value = headers[name]
    if not value:
        return None
    try:
        return decode(value)
    except Exception as e:
        message = e.message.partition(": ")[2] if isinstance(e, Fault) else str(e)
        raise Fault("Runtime.LambdaContextUnmarshalError", "Unable to parse %s JSON: %s" % (label, message)) from None


# ---------------------------------------------------------------------------------------------- the handler


def load_handler(name):
    """Imports the module of `module.function`, `package.module.function` or `folder/module.function`."""
    module_name, dot, function_name = name.rpartition(".")
    if not dot:
        reason = "not enough values to unpack (expected 2, got 1)"
        raise Fault("Runtime.MalformedHandlerName", "Bad handler '%s': %s" % (name, reason))
    if module_name.partition(".")[0] in sys.builtin_module_names:
        text = "Cannot use built-in module %s as a handler module" % module_name
        raise Fault("Runtime.BuiltInModuleConflict", text)
    dotted = module_name.replace("/", ".")
    try:
        __import__(dotted)
        module = sys.modules[dotted]
    except ImportError as e:
        raise Fault("Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module_name, e)) from None
    except SyntaxError as e:
        trace = ['  File "%s" Line %s\n    %s' % (e.filename, e.lineno, e.text)]
        text = "Syntax error in module '%s': %s" % (module_name, e)
        raise Fault("Runtime.UserCodeSyntaxError", text, trace) from None
    try:
        return getattr(module, function_name)
    except AttributeError:
        text = "Handler '%s' missing on module '%s'" % (function_name, module_name)
        raise Fault("Runtime.HandlerNotFound", text) from None


class State:
    """What logs.py and the lane need to know of the invocation under way."""

    request_id = ""
    tenant_id = None
    printed = False


class Output(_io.FileIO):
    """Standard output or error, which notes that something was written."""

    def write(self, data):
        State.printed = True
        return super().write(data)


def serve(api, handler, out):
    """Serves events until the process is ended from outside, or by the user's code."""
    # The trace id changes with every event. The C library never frees what a variable was set to, so that a warm instance
    # would grow for ever: what os.environ shows is changed, and the process's own variable is not.
    environ, trace_name, state = os.environ._data, b"_X_AMZN_TRACE_ID", State
    while True:
        headers, body = api.next()
        request_id = _text(headers, b"lambda-runtime-aws-request-id") or ""
        state.request_id, state.tenant_id = request_id, _text(headers, b"lambda-runtime-aws-tenant-id")
        trace = headers.get(b"lambda-runtime-trace-id")
        if trace is None:
            environ.pop(trace_name, None)
        else:
            environ[trace_name] = trace
        try:
            result, content_type = marshal(handler(decode(body), LambdaContext(request_id, headers)))
            kind, error_type = "/response", None
        except Exception:
            # Only Exception: sys.exit() and the like end the process, and the server reports Runtime.ExitError.
            from . import faults

            report = faults.describe(sys.exc_info(), request_id)
            faults.log(report)
            result, content_type = faults.body(report), "application/json"
            kind, error_type = "/error", report["errorType"]
        try:
            out.flush()  # a last line without its newline belongs to this invocation's log
        except (OSError, ValueError):
            pass
        api.settle("invocation/" + request_id + kind, result, content_type, error_type)
        headers = body = result = None  # a 6 MB event need not stay while we wait


# ---------------------------------------------------------------------------------------------- start


def take_environment():
    """What this module keeps of the environment. Not at import: a blank (blank.py) gets its environment later."""
    global _encode
    get = os.environ.get
    _encode = _make_encoder()
    LambdaContext.log_group_name = get("AWS_LAMBDA_LOG_GROUP_NAME")
    LambdaContext.log_stream_name = get("AWS_LAMBDA_LOG_STREAM_NAME")
    LambdaContext.function_name = get("AWS_LAMBDA_FUNCTION_NAME")
    LambdaContext.memory_limit_in_mb = get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
    LambdaContext.function_version = get("AWS_LAMBDA_FUNCTION_VERSION")


def arrange_path(task_root):
    """sys.path as on AWS: the function, then layers, then the language, then what the platform adds.

    The host's own site-packages are not AWS's, and a function that works because of them works nowhere else: they are
    left out unless the function's environment has SLUICE_HOST_PACKAGES=1. What AWS bundles (boto3) can be put by the
    operator into /var/runtime/python/site-packages.
    """
    version = "python%d.%d" % sys.version_info[:2]
    given = [entry for entry in os.environ.get("PYTHONPATH", "").split(":") if entry]
    language, hosts = [], []
    for entry in sys.path:
        if entry not in given:
            (hosts if entry.endswith(("/site-packages", "/dist-packages")) else language).append(entry)
    path = [task_root, "/opt/python/lib/%s/site-packages" % version, "/opt/python"] + given + language
    ours = __file__.rpartition("/")[0].rpartition("/")[0]
    path.append(ours + "/lib")  # modules that are part of AWS's runtime
    if os.path.isdir(ours + "/site-packages"):
        path.append(ours + "/site-packages")
    if os.environ.get("SLUICE_HOST_PACKAGES") == "1":
        if not hosts:
            import site

            hosts = site.getsitepackages()
        path += hosts
    sys.path[:] = path


class LoggingHook:
    """An import hook that sets logging up when (and only if) the user's code first imports it."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(cls)
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                break
        else:
            return None
        loader = spec.loader
        execute = loader.exec_module

        def exec_module(module):
            execute(module)
            from . import logs

            logs.install()

        loader.exec_module = exec_module
        return spec


def arrange_output():
    """Standard output by lines (and UTF-8, whatever the locale); what cannot be encoded must not fail a function."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        raw = Output(number, "wb", closefd=False)
        raw.name = "<%s>" % name
        stream = _io.TextIOWrapper(_io.BufferedWriter(raw), "utf-8", "backslashreplace", line_buffering=True)
        stream.mode = "w"
        setattr(sys, name, stream)
        setattr(sys, "__%s__" % name, stream)
    if sys.flags.no_site:
        import builtins

        from _sitebuiltins import Quitter

        builtins.exit, builtins.quit = Quitter("exit", ""), Quitter("quit", "")


def main():
    take_environment()
    task_root = os.environ.get("LAMBDA_TASK_ROOT", "/var/task")
    arrange_path(task_root)
    arrange_output()
    if "logging" in sys.modules:
        from . import logs

        logs.install()
    else:
        sys.meta_path.insert(0, LoggingHook)
    try:
        os.chdir(task_root)
    except OSError:
        pass  # then importing the handler says what is wrong, in AWS's words
    api = Api(os.environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        handler = load_handler(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("_HANDLER", ""))
    except Exception:
        from . import faults

        faults.fail_init(api, sys.exc_info())
    try:
        if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
            from . import snapshot

            snapshot.take(api)
        serve(api, handler, sys.stdout)
    except Refused as e:
        sys.stderr.write("[ERROR] Runtime.LambdaRuntimeClientError: %s\n" % e)
        sys.exit(1)
