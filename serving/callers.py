"""Who calls: the service's own page or a program, with the key if there is one, and never another site's page."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from serving.answers import RefusalError
from serving.settings import Settings
from serving.tickets import Tickets

PAGE_HEADER = "x-requested-with"
"""The page sends it with every call: behind a proxy that sets `Host`, nothing else shows where a call comes from."""


def check_caller(settings: Settings, headers: Headers) -> None:
    """Checks origin and key of a call that changes something.

    Raises:
        RefusalError: 403 or 401.
    """
    check_origin(headers)
    check_key(settings, headers)


def has_ticket(scope: Scope, tickets: Tickets) -> bool:
    """Whether a WebSocket has a valid ticket among its subprotocols: then its page's call was checked before."""
    return any(map(tickets.accepts, scope["subprotocols"]))


def check_origin(headers: Headers) -> None:
    """Refuses what another site's page makes a visitor's browser send.

    Browsers say so in `Sec-Fetch-Site`. Over plain HTTP they do not, so there `Origin` must be the host that was asked,
    or the call must have the page's own header: a browser lets no other site's page set it without asking us first.

    Raises:
        RefusalError: 403.
    """
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    elif origin is None or PAGE_HEADER in headers:
        foreign = False
    else:
        try:
            foreign = urlsplit(origin).netloc != headers.get("host", "")
        except ValueError:
            foreign = True
    if foreign:
        raise RefusalError(
            403,
            "cross_origin",
            "This call comes from another site's page. Only this service's own page may make it.",
            "Open this service's page and use it there.",
        )


def check_key(settings: Settings, headers: Headers) -> None:
    """Checks the key, if the operator has set one: in `X-API-Key`, or as the token that BentoML's client sends.

    Raises:
        RefusalError: 401, as the key is missing or wrong.
    """
    if settings.api_key is None:
        return
    key = settings.api_key.get_secret_value().encode()
    scheme, _, token = headers.get("authorization", "").partition(" ")
    given = [headers.get("x-api-key", ""), token if scheme.lower() == "bearer" else ""]
    if not any(secrets.compare_digest(one.encode(), key) for one in given):
        raise RefusalError(
            401,
            "no_key",
            "This service requires a key, and the key is missing or wrong.",
            "Ask the operator for the key, and send it in the header X-API-Key.",
        )
