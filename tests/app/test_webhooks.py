"""Other programs are told: signed, once more when they fail, never inside this network."""

import base64
import hashlib
import hmac
import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, cast

import pytest

from app.callers import LOCAL
from app.db import tasks, webhooks
from app.errors import ConflictError, InvalidInputError, NotFoundError
from app.posting import PostError, check_url
from app.schemas_webhooks import NewWebhook, WebhookRequest
from app.sender import PAUSES_S, Sender
from app.webhooks import MAX_WEBHOOKS, WebhookService
from memory.database import Database
from tests.support.service import put, queued

pytestmark = pytest.mark.anyio


class Receiver:
    """A real server that remembers what it got and answers what a test says."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = [204]
        self.location = ""
        self.release = Event()
        self.port = 0

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Keep quiet."""

    def do_POST(self) -> None:
        receiver = cast("_Http", self.server).receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        receiver.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
        answers = receiver.answers
        self.send_response(answers.pop(0) if len(answers) > 1 else answers[0])
        if receiver.location:
            self.send_header("Location", receiver.location)
        self.send_header("Content-Length", "0")
        self.end_headers()


class _Http(ThreadingHTTPServer):
    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", 0), _Handler)


@contextmanager
def _serving() -> Generator[Receiver]:
    receiver = Receiver()
    server = _Http(receiver)
    receiver.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with _serving() as running:
        yield running


class Clock:
    """Shows the time that a test sets, ahead of the real one, so that what is made now is due."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC) + timedelta(minutes=10)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sender(database: Database, receiver: Receiver, clock: Clock) -> Sender:
    return Sender(database, [receiver.place], clock=clock)


@pytest.fixture
def service(database: Database, sender: Sender, receiver: Receiver) -> WebhookService:
    return WebhookService(database, sender, [receiver.place])


async def _hook(service: WebhookService, receiver: Receiver, **given: Any) -> NewWebhook:
    fields = {"url": f"http://{receiver.place}/hook"} | given
    return await service.create(WebhookRequest.model_validate(fields), caller=LOCAL)


async def _states(service: WebhookService, hook_id: str) -> list[tuple[str, int]]:
    page = await service.deliveries(hook_id, namespace="default", cursor=None, limit=50)
    return [(item.state, item.attempts) for item in page.items]


def _verified(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Check a delivery as its receiver would, with nothing of ours."""
    told = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.split("_", 1)[1])
    expected = base64.b64encode(hmac.new(key, told, hashlib.sha256).digest()).decode()
    return headers["webhook-signature"] == f"v1,{expected}"


async def test_a_new_status_is_told_once_signed_and_without_the_task_itself(
    database: Database, service: WebhookService, sender: Sender, receiver: Receiver, clock: Clock
) -> None:
    hook = await _hook(service, receiver, statuses=["cancelled"])
    put(database, queued(instruction="a secret wish"))
    database.run_sync(lambda c: tasks.cancel(c, "t_1"))
    clock.now += timedelta(seconds=1)
    assert await sender.drain() == 1
    assert await sender.drain() == 0
    [(headers, body)] = receiver.got
    assert _verified(hook.secret, headers, body)
    told = json.loads(body)
    assert (told["type"], told["data"]["task_id"]) == ("task.cancelled", "t_1")
    assert b"secret wish" not in body
    assert await _states(service, hook.id) == [("delivered", 1)]


async def test_a_failing_receiver_is_tried_again_for_a_day_and_then_given_up(
    service: WebhookService, sender: Sender, receiver: Receiver, clock: Clock
) -> None:
    receiver.answers = [500]
    hook = await _hook(service, receiver)
    await service.test(hook.id, namespace="default")
    clock.now += timedelta(seconds=1)
    for _ in range(len(PAUSES_S) + 1):
        assert await sender.drain() == 1
        clock.now += timedelta(seconds=PAUSES_S[-1] * 1.2)
    assert await sender.drain() == 0
    assert await _states(service, hook.id) == [("dead", len(PAUSES_S) + 1)]
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert sum(PAUSES_S) < 24 * 3600 + 3600


async def test_a_receiver_that_comes_back_gets_what_it_missed(
    service: WebhookService, sender: Sender, receiver: Receiver, clock: Clock
) -> None:
    receiver.answers = [503, 200]
    hook = await _hook(service, receiver)
    await service.test(hook.id, namespace="default")
    for _ in range(2):
        clock.now += timedelta(seconds=10)
        await sender.drain()
    assert await _states(service, hook.id) == [("delivered", 2)]


async def test_a_receiver_that_is_gone_is_asked_nothing_more(
    database: Database, service: WebhookService, sender: Sender, receiver: Receiver, clock: Clock
) -> None:
    receiver.answers = [410]
    hook = await _hook(service, receiver)
    await service.test(hook.id, namespace="default")
    clock.now += timedelta(seconds=1)
    await sender.drain()
    seen = await service.get(hook.id, namespace="default")
    assert (seen.enabled, seen.disabled_because) == (False, "it answered 410 Gone")
    put(database, queued())
    assert await _states(service, hook.id) == [("dead", 1)]
    with pytest.raises(ConflictError, match="410"):
        await service.test(hook.id, namespace="default")


async def test_what_was_given_up_or_delivered_can_be_sent_once_more(
    service: WebhookService, sender: Sender, receiver: Receiver, clock: Clock
) -> None:
    hook, other = await _hook(service, receiver), await _hook(service, receiver)
    delivery_id = await service.test(hook.id, namespace="default")
    clock.now += timedelta(seconds=1)
    assert await sender.drain() == 1
    again = await service.redeliver(hook.id, delivery_id, namespace="default")
    assert (again.state, again.attempts) == ("pending", 1)
    clock.now += timedelta(seconds=1)
    assert await sender.drain() == 1
    assert await _states(service, hook.id) == [("delivered", 2)]
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    with pytest.raises(NotFoundError, match="no delivery"):
        await service.redeliver(other.id, delivery_id, namespace="default")


async def test_a_redirect_is_not_followed(
    service: WebhookService, sender: Sender, receiver: Receiver, clock: Clock
) -> None:
    receiver.answers = [307]
    receiver.location = "http://169.254.169.254/latest/meta-data/"
    hook = await _hook(service, receiver)
    await service.test(hook.id, namespace="default")
    clock.now += timedelta(seconds=1)
    await sender.drain()
    assert await _states(service, hook.id) == [("pending", 1)]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://[::1]:80/x",
        "http://10.1.2.3/",
        "http://192.168.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:127.0.0.1]/",
        "http://[fe80::1]/",
        "http://0.0.0.0/",
        "ftp://example.org/",
        "https://user:word@example.org/",
        "no url at all",
        "http:///nothing",
    ],
)
async def test_places_off_the_public_internet_are_refused(
    service: WebhookService, url: str
) -> None:
    with pytest.raises(InvalidInputError, match="url"):
        await service.create(WebhookRequest(url=url), caller=LOCAL)


async def test_a_name_that_leads_into_this_machine_is_not_posted_to(
    database: Database, receiver: Receiver, clock: Clock
) -> None:
    strict = Sender(database, [], clock=clock)
    service = WebhookService(database, strict, [])
    hook = await _hook(service, receiver, url=f"http://localhost:{receiver.port}/hook")
    await service.test(hook.id, namespace="default")
    clock.now += timedelta(seconds=1)
    await strict.drain()
    page = await service.deliveries(hook.id, namespace="default", cursor=None, limit=5)
    assert "not on the public internet" in (page.items[0].last_error or "")
    assert receiver.got == []


def test_the_operator_allows_a_private_place_exactly() -> None:
    assert check_url("http://10.0.0.5:8080/x", ["10.0.0.5:8080"]).port == 8080
    with pytest.raises(PostError):
        check_url("http://10.0.0.5:8081/x", ["10.0.0.5:8080"])


async def test_two_senders_never_send_the_same_at_once(
    database: Database, service: WebhookService, receiver: Receiver, clock: Clock
) -> None:
    hook = await _hook(service, receiver)
    await service.test(hook.id, namespace="default")
    clock.now += timedelta(seconds=1)
    take = [database.run_sync(lambda c: webhooks.take(c, clock.now, 30.0)) for _ in range(2)]
    assert take[0] is not None
    assert take[1] is None
    clock.now += timedelta(seconds=31)
    again = database.run_sync(lambda c: webhooks.take(c, clock.now, 30.0))
    assert again is not None
    late, _ = take[0]
    database.run_sync(lambda c: webhooks.settle(c, late, {"state": "delivered"}))
    assert await _states(service, hook.id) == [("pending", 2)]


async def test_webhooks_are_listed_limited_and_removed(
    service: WebhookService, receiver: Receiver
) -> None:
    made = [await _hook(service, receiver) for _ in range(MAX_WEBHOOKS)]
    with pytest.raises(ConflictError, match="at most"):
        await _hook(service, receiver)
    page = await service.list("default", cursor=None, limit=30)
    rest = await service.list("default", cursor=page.next_cursor, limit=30)
    assert {hook.id for hook in made} == {item.id for item in [*page.items, *rest.items]}
    assert "whsec_" not in page.model_dump_json()
    await service.remove(made[0].id, namespace="default")
    with pytest.raises(NotFoundError):
        await service.get(made[0].id, namespace="default")
