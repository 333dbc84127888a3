"""What a program run by Waybill may tell, and what it is given. Python 3.8 and later, nothing to install.

    import waybill

    with waybill.step("load") as step:
        for done, record in enumerate(records, 1):
            try:
                save(record)
            except ValueError as e:
                waybill.error(record["id"], "invalid", str(e), data=record)
            waybill.progress(done, len(records))
        step.counters(read=len(records))
    waybill.output("rows", len(records))

Outside of Waybill nothing is told, so programs can be tried by hand. All functions may be called by several threads and
processes at once.
"""

import json
import os
import tempfile
import threading

__all__ = [
    "step", "progress", "counters", "error", "message", "output", "tell", "retrying", "retry_step", "retry_records",
    "in_messages", "in_message", "wanted_messages", "macro",
]

_LINE = 256 * 1024  # bytes; a message that is longer as a line goes by a file
_lock = threading.Lock()
_events = None


def tell(**event):
    """Writes one line of the protocol. Members that are None are left out."""
    line = _line(event)
    if line is not None:
        _write(line)


def _line(event):
    if not os.environ.get("WAYBILL_EVENTS"):
        return None
    event = {key: value for key, value in event.items() if value is not None}
    text = json.dumps(event, ensure_ascii=False, default=str, separators=(",", ":"))
    return text.encode("utf-8", "replace") + b"\n"


def _write(line):
    global _events
    with _lock:
        if _events is None:
            _events = os.open(os.environ["WAYBILL_EVENTS"], os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0))
        os.write(_events, line)  # one call: lines of several processes do not mix


class step:
    """A step: started when the block is entered, finished or failed when it is left. Also a decorator."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        tell(type="step", name=self.name, status="started")
        return self

    def __exit__(self, kind, problem, trace):
        code = None
        if isinstance(problem, SystemExit):
            code = problem.code
            if code is None or code == 0:
                kind = None
            elif not isinstance(code, int):  # sys.exit("why")
                problem, code = code, 1
            else:
                problem = "exit code %d" % code
        if kind is None:
            tell(type="step", name=self.name, status="finished", returnCode=0 if code is not None else None)
        else:
            tell(type="step", name=self.name, status="failed", returnCode=code, message=str(problem) or kind.__name__)
        return False

    def __call__(self, function):
        def within(*args, **kwargs):
            with step(self.name):
                return function(*args, **kwargs)

        return within

    def progress(self, done, total=None):
        progress(done, total, step=self.name)

    def counters(self, read=None, written=None, failed=None, ignored=None):
        counters(read, written, failed, ignored, step=self.name)

    def error(self, record_id=None, code=None, message=None, data=None, trace_key=None):
        error(record_id, code, message, data, trace_key, step=self.name)


def progress(done, total=None, step=None):
    """Tells how far the program is."""
    tell(type="progress", step=step, done=int(done), total=None if total is None else int(total))


def counters(read=None, written=None, failed=None, ignored=None, step=None):
    """Tells the totals of a step so far. What is left out stays as it was."""
    tell(type="counters", step=step, read=read, written=written, failed=failed, ignored=ignored)


def error(record_id=None, code=None, message=None, data=None, trace_key=None, step=None):
    """Tells of a record that did not go through. data is the record, any JSON; a retry is given it back."""
    tell(type="error", recordId=_text(record_id), step=step, code=_text(code), message=_text(message),
         traceKey=_text(trace_key), data=data)


def _text(value):
    return None if value is None else str(value)


def message(name, body="", properties=None):
    """Gives an out message. body is a text, or anything else, which is given as JSON."""
    if not isinstance(body, str):
        body = json.dumps(body, ensure_ascii=False, default=str)
    event = {"type": "message", "name": name, "properties": properties}
    line = _line(dict(event, body=body))
    if line is None:
        return
    if len(line) <= _LINE:
        _write(line)
        return
    handle, path = tempfile.mkstemp(prefix=".waybill-", dir=os.environ.get("TMPDIR"))
    with os.fdopen(handle, "wb") as f:
        f.write(body.encode("utf-8", "replace"))
    tell(bodyFile=path, **event)


def output(name, value):
    """Gives a named value, any JSON, that shows on the job."""
    line = _line({"type": "output", "name": name})
    if line is not None:  # None is a value, too
        text = json.dumps({"type": "output", "name": name, "value": value}, ensure_ascii=False, default=str)
        _write(text.encode("utf-8", "replace") + b"\n")


def retrying():
    """Tells whether only the records that failed are to be done again."""
    return "WAYBILL_RETRY_FILE" in os.environ


def retry_step():
    """The first step that failed in the job that is retried, None for every other job."""
    return os.environ.get("WAYBILL_RETRY_STEP")


def retry_records():
    """Gives the records to do again, as {"recordId", "step", "traceKey", "data"}; none unless retrying()."""
    if not retrying():
        return
    with open(os.environ["WAYBILL_RETRY_FILE"], encoding="utf-8") as f:
        for line in f:
            if line.strip():
                yield json.loads(line)


class InMessage:
    """A message the job was given: name, body, properties."""

    def __init__(self, name, file, properties):
        self.name, self.file, self.properties = name, file, properties

    @property
    def body(self):
        with open(self.file, encoding="utf-8", newline="") as f:
            return f.read()

    def json(self):
        return json.loads(self.body)


def in_messages():
    """Lists the messages the job was given."""
    if "WAYBILL_IN_FILE" not in os.environ:
        return []
    with open(os.environ["WAYBILL_IN_FILE"], encoding="utf-8") as f:
        return [InMessage(m["name"], m["file"], m["properties"]) for m in json.load(f)]


def in_message(name):
    """Finds a message the job was given, None if there is none of that name."""
    return next((m for m in in_messages() if m.name == name), None)


def wanted_messages():
    """Lists the names of the out messages that somebody waits for."""
    return json.loads(os.environ.get("WAYBILL_OUT_MESSAGES", "[]"))


def macro(name, default=None):
    """The value of a macro."""
    return os.environ.get(name, default)
