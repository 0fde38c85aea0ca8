"""Notices when pods are asked for, whoever does it: Kopf by aiohttp, our lists by requests.

The two functions are called once for each request and not for what is in its answer, so that this costs nothing.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import requests


def notice(asks: Callable[[], None]) -> None:
    """Call the function just before each request for pods."""
    by_aiohttp, by_requests = aiohttp.ClientSession._request, requests.Session.send

    async def request(session: aiohttp.ClientSession, method: str, url: Any, **options: Any) -> Any:
        if urlsplit(str(url)).path.endswith("/pods"):
            asks()
        return await by_aiohttp(session, method, url, **options)

    def send(session: requests.Session, prepared: requests.PreparedRequest, **options: Any) -> requests.Response:
        if urlsplit(prepared.url or "").path.endswith("/pods"):
            asks()
        return by_requests(session, prepared, **options)

    aiohttp.ClientSession._request = request
    requests.Session.send = send
