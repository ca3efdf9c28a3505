"""Tickets on their way to people: a signed webhook with bounded retries, or a mail that the visitor sends.

The operator names the one address that tickets go to; no request and no document can name another.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from sillar.config import HandOffConfig
from sillar.documents.tickets import Delivery, Tickets
from sillar.errors import ConfigError
from sillar.server.options import is_loopback

ATTEMPTS = 8
_FACTOR = 4
_TIMEOUT = 10.0
_TRANSIENT = frozenset({408, 425, 429})
_MAIL = re.compile(r"[A-Za-z0-9.!#$%*+/=^_{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}")
_MAIL_BODY = 1500
"""Characters; longer addresses are cut by browsers and mail programs."""


class HandOff:
    """Makes tickets and sees to it that they arrive. Run `deliver` as a task beside it."""

    def __init__(
        self, settings: HandOffConfig, tickets: Tickets, clock: Callable[[], float] = time.time
    ) -> None:
        """Raises ConfigError for an address or a secret that must not be used."""
        _check(settings)
        self.tickets = tickets
        self._settings = settings
        self._clock = clock
        self._wake = asyncio.Event()

    async def submit(self, tenant: str, answer: str, contact: str, note: str) -> dict[str, Any]:
        """A new ticket; with `mailto` where a mailbox takes them. Raises RequestError for no such answer."""
        ticket = await asyncio.to_thread(
            self.tickets.hand_off, tenant, answer, contact, note, deliver=bool(self._settings.webhook)
        )
        self._wake.set()
        return ticket | ({"mailto": mailto(self._settings.mail, ticket)} if self._settings.mail else {})

    async def retry(self, tenant: str, ticket: int) -> None:
        """Raises RequestError where no such ticket had been given up."""
        await asyncio.to_thread(self.tickets.retry, tenant, ticket)
        self._wake.set()

    async def deliver(self) -> None:
        """Sends what is due, for ever; a failure is tried again later, longer apart each time."""
        async with httpx.AsyncClient(timeout=_TIMEOUT, follow_redirects=False, trust_env=False) as client:
            while True:
                self._wake.clear()
                for delivery in await asyncio.to_thread(self.tickets.due, self._clock()):
                    await self._send(client, delivery)
                await self._wait()

    async def _wait(self) -> None:
        due = await asyncio.to_thread(self.tickets.next_due)
        pause = None if due is None else max(0.0, due - self._clock())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), pause)

    async def _send(self, client: httpx.AsyncClient, delivery: Delivery) -> None:
        ticket = delivery.ticket
        body = json.dumps({"type": "ticket", **ticket}, ensure_ascii=False).encode()
        moment = int(self._clock())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "sillar",
            "Sillar-Ticket": str(ticket["id"]),
            "Sillar-Signature": sign(self._settings.secret, moment, body),
        }
        request = client.build_request("POST", self._settings.webhook, content=body, headers=headers)
        try:
            response = await client.send(request, stream=True)  # what it answers is not read
            await response.aclose()
            status = response.status_code
            problem = "" if 200 <= status < 300 else f"HTTP {status}"
            final = 300 <= status < 500 and status not in _TRANSIENT
        except httpx.HTTPError as error:
            problem, final = type(error).__name__, False
        if not problem:
            await asyncio.to_thread(self.tickets.delivered, ticket["id"])
            return
        pause = self._settings.retry_seconds * _FACTOR**delivery.attempts
        again = None if final or delivery.attempts + 1 >= ATTEMPTS else self._clock() + pause
        await asyncio.to_thread(self.tickets.not_delivered, ticket["id"], problem, again)


@asynccontextmanager
async def open_handoff(settings: HandOffConfig, tickets: Tickets) -> AsyncIterator[HandOff]:
    """With its deliveries running, if a webhook is named. Raises ConfigError."""
    handoff = HandOff(settings, tickets)
    task = asyncio.ensure_future(handoff.deliver()) if settings.webhook else None
    try:
        yield handoff
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def sign(secret: str, moment: int, body: bytes) -> str:
    """`t=MOMENT,v1=HEX`: HMAC-SHA256 over "MOMENT." and the body; the receiver refuses old moments."""
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, sha256).hexdigest()
    return f"t={moment},v1={digest}"


def mailto(address: str, ticket: dict[str, Any]) -> str:
    """A mailto link with what a person needs; every part of it is escaped."""
    parts = [ticket["note"], f"> {ticket['question']}", ticket["answer"]]
    parts += [f"[{c['number']}] {c['document']}: {c['quote']}" for c in ticket["citations"]]
    parts += [f"- {p['document']}: {p['text']}" for p in ticket["passages"] if not ticket["citations"]]
    body = "\n\n".join(part for part in parts if part)[:_MAIL_BODY]
    subject = f"[{ticket['id']}] {ticket['question']}"[:150]
    return f"mailto:{quote(address, safe='@')}?subject={quote(subject)}&body={quote(body)}"


def _check(settings: HandOffConfig) -> None:
    if settings.mail and not _MAIL.fullmatch(settings.mail):
        raise ConfigError(f"handoff.mail: {settings.mail!r} is no mail address")
    if not settings.webhook:
        return
    parts = urlsplit(settings.webhook)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.fragment:
        raise ConfigError("handoff.webhook is not an http(s) address without user and fragment")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ConfigError("handoff.webhook: beyond this machine only over https")
    if len(settings.secret) < 16:
        raise ConfigError("handoff.secret: the webhook is signed with it; 16 characters at least")
