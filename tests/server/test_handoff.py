"""Tickets reach a webhook signed and once, are tried again within bounds, and outlive the server."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler

import pytest

from sillar.config import HandOffConfig
from sillar.documents.journal import Entry, Journal
from sillar.documents.tickets import Tickets
from sillar.errors import ConfigError
from sillar.server.handoff import ATTEMPTS, mailto, open_handoff
from tests.loopback import serving

SECRET = "a secret of the operator's"


@dataclass
class Desk:
    """A help desk on a loopback port, which answers with the statuses it was given, then 200."""

    statuses: list[int] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@contextmanager
def help_desk(*statuses: int) -> Iterator[Desk]:
    desk = Desk(list(statuses))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            desk.received.append(({k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(desk.statuses.pop(0) if desk.statuses else 200)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    with serving(Handler) as address:
        desk.url = f"{address}/tickets"
        yield desk


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "j.sqlite")
    yield journal
    journal.close()


def answered(journal, **more):
    return journal.record("t", Entry("Who pays?", "The documents do not say.", True, 0.1, **more))


def settings(url, **more):
    return HandOffConfig(webhook=url, secret=SECRET, retry_seconds=0.01, **more)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110  the other side is a thread
            await asyncio.sleep(0.01)


def state(tickets):
    return tickets.latest("t")[0]["delivery"]["state"]


async def test_a_ticket_arrives_signed_with_its_conversation_and_passages(journal):
    tickets = Tickets(journal)
    talk = [{"role": "user", "content": "before"}]
    found = [{"document": "a.pdf", "page": 2, "section": "", "text": "Somebody pays."}]
    with help_desk() as desk:
        async with open_handoff(settings(desk.url), tickets) as handoff:
            answer = answered(journal, conversation=talk, passages=found)
            await handoff.submit("t", answer, "ana@example.org", "urgent")
            await until(lambda: desk.received and state(tickets) == "delivered")
    [(headers, body)] = desk.received
    ticket = json.loads(body)
    assert (ticket["type"], ticket["tenant"], ticket["contact"]) == ("ticket", "t", "ana@example.org")
    assert (ticket["conversation"], ticket["passages"], ticket["abstained"]) == (talk, found, True)
    moment, signature = (part.split("=")[1] for part in headers["sillar-signature"].split(","))
    assert signature == hmac.new(SECRET.encode(), f"{moment}.".encode() + body, sha256).hexdigest()


async def test_failures_are_tried_again_until_it_arrives(journal):
    tickets = Tickets(journal)
    with help_desk(500, 429, 503) as desk:
        async with open_handoff(settings(desk.url), tickets) as handoff:
            await handoff.submit("t", answered(journal), "", "")
            await until(lambda: state(tickets) == "delivered")
    assert len(desk.received) == 4
    assert len({json.loads(body)["id"] for _, body in desk.received}) == 1


@pytest.mark.parametrize("status", [302, 400, 410])
async def test_a_refusal_is_final_no_redirect_is_followed_and_a_person_may_try_again(journal, status):
    tickets = Tickets(journal)
    with help_desk(status) as desk:
        async with open_handoff(settings(desk.url), tickets) as handoff:
            ticket = await handoff.submit("t", answered(journal), "", "")
            await until(lambda: state(tickets) == "failed")
            assert len(desk.received) == 1
            assert tickets.latest("t")[0]["delivery"]["error"] == f"HTTP {status}"
            await handoff.retry("t", ticket["id"])
            await until(lambda: state(tickets) == "delivered")


async def test_retries_are_bounded(journal):
    tickets = Tickets(journal)
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 1e6  # every pause is over at once
        return now

    with help_desk(*[500] * 100) as desk:
        async with open_handoff(settings(desk.url), tickets) as handoff:
            handoff._clock = clock
            await handoff.submit("t", answered(journal), "", "")
            await until(lambda: state(tickets) == "failed")
    assert len(desk.received) == ATTEMPTS


async def test_what_was_not_delivered_is_sent_after_a_restart(tmp_path):
    with help_desk() as desk:
        first = Journal(tmp_path / "j.sqlite")
        Tickets(first).hand_off("t", answered(first), "", "", deliver=True)  # and the process dies
        first.close()
        second = Journal(tmp_path / "j.sqlite")
        tickets = Tickets(second)
        async with open_handoff(settings(desk.url), tickets):
            await until(lambda: state(tickets) == "delivered")
        second.close()


def test_a_mailto_link_has_all_and_lets_nothing_break_out():
    ticket = {
        "id": 7,
        "question": "Who?&bcc=evil@example.org\r\nX: y",
        "answer": "a & b",
        "note": "100 %",
        "citations": [],
        "passages": [{"document": "a b.pdf", "text": "p" * 5000}],
    }
    link = mailto("desk@example.org", ticket)
    assert link.startswith("mailto:desk@example.org?subject=%5B7%5D%20Who%3F%26bcc%3D")
    assert link.count("&") == 1
    assert not set(link) & set("\r\n <>\"'")
    assert len(link) < 6000


@pytest.mark.parametrize(
    "wrong",
    [
        HandOffConfig(webhook="http://desk.example.org/x", secret=SECRET),
        HandOffConfig(webhook="ftp://127.0.0.1/x", secret=SECRET),
        HandOffConfig(webhook="https://user:pass@desk.example.org", secret=SECRET),
        HandOffConfig(webhook="https://desk.example.org", secret="short"),
        HandOffConfig(mail="a@b.org?bcc=c@d.org"),
    ],
)
async def test_addresses_that_must_not_be_used_are_refused_at_the_start(journal, wrong):
    with pytest.raises(ConfigError):
        async with open_handoff(wrong, Tickets(journal)):
            pass
