"""Lists: which objects, as of which version, how many at a time.

The real server keeps old snapshots for some minutes and may serve "any" version from a cache that
lags; this one always serves the present for "any", and old versions while their events are known.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from workqueue.testing.apiserver import errors
from workqueue.testing.apiserver.errors import cause
from workqueue.testing.apiserver.registry import Resource
from workqueue.testing.apiserver.selectors import Selection, parse_fields, parse_labels
from workqueue.testing.apiserver.store import Entry, Store


def is_true(query: Mapping[str, str], name: str) -> bool:
    """Whether a query parameter is set, and not to "false" or "0"."""
    return name in query and query[name].lower() not in {"false", "0"}


def parse_selection(resource: Resource, namespace: str, query: Mapping[str, str]) -> Selection:
    """The selectors of a query.

    :raises ApiError: 400 if they make no sense.
    """
    return Selection(
        namespace,
        parse_labels(query.get("labelSelector", "")),
        parse_fields(query.get("fieldSelector", ""), supported=resource.unsupported_field),
    )


def parse_version(text: str) -> int:
    """A resourceVersion of a list.

    :returns: 0 for "" and "0".
    :raises ApiError: 400 if it is no number.
    """
    if text and not text.isdigit():
        raise errors.bad_request(
            f'invalid resource version: resourceVersion: Invalid value: "{text}": '
            f'strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    return int(text or 0)


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What a list asks for."""

    selection: Selection
    #: At most so many objects; 0 for all.
    limit: int = 0
    #: A continue token, "" for the beginning.
    token: str = ""
    #: As given: "" for the newest, "0" for any.
    version: str = ""
    #: Whether exactly that version is meant; else it, or a newer one.
    exact: bool = False

    @classmethod
    def parse(cls, resource: Resource, namespace: str, query: Mapping[str, str]) -> "ListOptions":
        """Read a query.

        :raises ApiError: 400 or 422 if it makes no sense.
        """
        version, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
        if is_true(query, "sendInitialEvents"):
            raise refused_option("sendInitialEvents", "sendInitialEvents is forbidden for list")
        if match not in {"", "Exact", "NotOlderThan"}:
            why = f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""'
            raise _invalid_option(cause("resourceVersionMatch", "FieldValueNotSupported", why))
        if match and not version:
            raise refused_option(
                "resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"
            )
        if match == "Exact" and version == "0":
            raise refused_option(
                "resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            )
        text = query.get("limit") or "0"
        try:
            limit = max(int(text), 0)
        except ValueError as error:
            raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error
        if version == "0":
            limit = 0  # as the real server's cache does
        return cls(
            parse_selection(resource, namespace, query),
            limit=limit,
            token=query.get("continue", ""),
            version=version,
            exact=match == "Exact" or (not match and limit > 0 and version not in {"", "0"}),
        )


def refused_option(field: str, why: str) -> errors.ApiError:
    """422: a query parameter that does not go with the others."""
    return _invalid_option(cause(field, "FieldValueForbidden", f"Forbidden: {why}"))


def _invalid_option(why: dict[str, str]) -> errors.ApiError:
    return errors.invalid("", "meta.k8s.io", "ListOptions", why)


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a list."""

    entries: list[Entry]
    #: The version that all pages of the list show.
    version: int
    #: What to continue with; "" after the last page.
    token: str = ""
    #: How many objects are left; None if there is a selector, or nothing left.
    remaining: int | None = None


def read_page(store: Store, resource: Resource, options: ListOptions) -> Page:
    """Read a list, or the next page of one.

    :raises ApiError: 400 for a bad token, 410 for an expired one, 504 for a version of the future.
    """
    with store.lock:
        current = store.version
        version, start = current, ""
        if options.token:
            version, start = _read_token(options.token)
            if options.version not in {"", "0"}:
                raise errors.bad_request("specifying resource version is not allowed when using continue")
            version = current if version < 0 else version
        elif (asked := parse_version(options.version)) > current:
            raise errors.too_large_version(asked, current)
        elif options.exact:
            version = asked
        selection = options.selection
        try:
            found = list(store.read(resource.storage, namespace=selection.namespace, version=version, start=start))
        except errors.ApiError:
            if not options.token:
                raise
            raise errors.expired_token(_token(-1, start)) from None
    if selection.selective:
        found = [entry for entry in found if selection.matches(entry.document)]
    if not options.limit or len(found) <= options.limit:
        return Page(found, version)
    page, left = found[: options.limit], len(found) - options.limit
    return Page(page, version, _token(version, f"{page[-1].key}\0"), None if selection.selective else left)


def _token(version: int, start: str) -> str:
    content = orjson.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": start})
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _read_token(token: str) -> tuple[int, str]:
    try:
        content = orjson.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        version, start = content["rv"], content["start"]
        if content["v"] != "meta.k8s.io/v1" or not isinstance(version, int) or not isinstance(start, str):
            raise ValueError(token)
    except (Base64Error, ValueError, KeyError, TypeError) as error:
        raise errors.bad_request(f"invalid continue token: continue key is not valid: {error}") from error
    return version, start.lstrip("/")
