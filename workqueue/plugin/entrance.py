"""How the operator gets in: Kopf's login, the look before the leap, and the waiting where waiting is right.

Kopf's watchers wait for the credentials, so nothing of Kopf's runs before this lets it: what is
wrong at the start is said once, in one line.

Once in, an operator is not thrown out again: whatever the API server does to a later login, it is
tried again, with growing pauses. Kopf alone would end after a single 401 with a token that is
still good, since it takes no credentials a second time that were refused once.
"""

import asyncio
import dataclasses
import datetime as dt
import functools
import logging
import os
from collections.abc import Callable, Iterable
from typing import Any

import kopf

from workqueue.base.clock import Clock
from workqueue.base.errors import ConfigurationError
from workqueue.base.text import one_line
from workqueue.plugin import kubeconfig
from workqueue.plugin.endurance import Endurance
from workqueue.plugin.login import Login
from workqueue.plugin.preflight import LIMIT, Clearance, Preflight
from workqueue.plugin.reachability import NotReachable, check_certificates, not_reachable
from workqueue.plugin.resources import ResourceSpec
from workqueue.plugin.scope import Scope
from workqueue.plugin.threads import in_thread

logger = logging.getLogger("workqueue.plugin")

#: The environment's word for ``Manager(api_server_timeout=…)``.
TIMEOUT_VARIABLE = "WORKQUEUE_API_SERVER_TIMEOUT"
#: Seconds between two tries; doubled each time.
FIRST_PAUSE = 1.0
#: The longest pause, in seconds.
MAXIMUM_PAUSE = 30.0
#: A login that held for so many seconds was a good one: the next begins with short pauses again.
GOOD = 60.0
#: When a login that Kopf should not recognise expires: never. Python's last year, less one for time zones.
_NEVER = dt.datetime(9998, 1, 1, tzinfo=dt.UTC)


def patience(given: float | None) -> float:
    """Seconds to wait for an API server that is not there yet: what a manager said, or the environment, or none.

    :raises ConfigurationError: if the environment says no number of seconds.
    """
    if given is not None:
        return given
    text = os.environ.get(TIMEOUT_VARIABLE) or "0"
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise ConfigurationError(f"{TIMEOUT_VARIABLE}={text}: expected seconds, 0 or more")
    return seconds


class Entrance:
    """One run's way in. Its state is touched in the thread of Kopf's loop only."""

    def __init__(
        self,
        login: Login,
        *,
        scope: Scope,
        specs: Callable[[], Iterable[ResourceSpec]],
        patience: float,
        endurance: Endurance,
        clock: Clock,
    ) -> None:
        """
        :param login: what logs in, and hands out clients then.
        :param scope: the namespaces to be served.
        :param specs: the resources to be watched.
        :param patience: seconds to wait for an API server that is not there yet; 0 does not wait.
        :param endurance: told what Kopf must not try to watch.
        :param clock: tells how long a login held.
        """
        self._login = login
        self._scope = scope
        self._specs = specs
        self._patience = patience
        self._endurance = endurance
        self._clock = clock
        self._entered = False
        #: Of the logins since the preflight.
        self._logins = 0
        self._pause = 0.0
        self._logged_in_at = 0.0

    async def log_in(self, settings: kopf.OperatorSettings, **kwargs: Any) -> kopf.ConnectionInfo:
        """Kopf's login handler: returns once there is something to connect with.

        :param settings: of this run; told what Kopf must not try to watch.
        :raises ConfigurationError: at the first login only: why the operator cannot do its job, in one line.
        """
        if self._entered:
            return await self._log_in_again(settings=settings, **kwargs)
        info, clearance = await self._wait_for_api_server(settings=settings, **kwargs)
        self._apply(clearance, settings)
        self._entered = True
        self._logged_in_at = self._clock.now()
        self._login.renew(info)
        logger.info("API server %s at %s: %s", clearance.version, info.server, kubeconfig.source())
        return info

    async def _wait_for_api_server(self, **kwargs: Any) -> tuple[kopf.ConnectionInfo, Clearance]:
        begun = self._clock.now()
        pause = FIRST_PAUSE
        while True:
            try:
                info = await self._log_in_once(**kwargs)
                return info, await self._look(info)
            except NotReachable as error:
                waited = self._clock.now() - begun
                if waited >= self._patience:
                    told = f" (waited {self._patience:g} s)" if self._patience else ""
                    raise ConfigurationError(f"{error}{told}") from None
                pause = min(pause, self._patience - waited)
                logger.warning("%s; waiting up to %g s, next try in %.3g s", error, self._patience, pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAXIMUM_PAUSE)

    async def _log_in_once(self, **kwargs: Any) -> kopf.ConnectionInfo:
        # In a thread of its own: an exec plugin takes its time, and Kopf's executor outlives the operator.
        login = in_thread(functools.partial(self._login.log_in, **kwargs), name="workqueue-login")
        done, _ = await asyncio.wait([login], timeout=LIMIT)
        if not done:  # a person may have to be asked for a password: no reason to give up
            plugin = kubeconfig.exec_command()
            whom = f"the plugin {plugin!r}" if plugin else "the client library"
            logger.warning("the login takes long, waiting for %s of %s", whom, kubeconfig.source())
        return await login

    async def _look(self, info: kopf.ConnectionInfo) -> Clearance:
        source = kubeconfig.source()
        check_certificates(info, source)
        client = self._login.client_for(info)
        preflight = Preflight(client, server=info.server, source=source, token=info.token)

        def look() -> Clearance:
            try:
                return preflight.run(list(self._specs()), self._scope)
            finally:
                client.session.close()

        looking = in_thread(look, name="workqueue-preflight")
        try:
            answers = -1
            while answers < (answers := preflight.answers):  # a slow server with many namespaces gets its time
                done, _ = await asyncio.wait([looking], timeout=LIMIT)
                if done:
                    return looking.result()
        finally:
            looking.cancel()  # so that nobody misses what becomes of it
        raise not_reachable(info.server, f"no answer within {LIMIT:g} s", source)

    def _apply(self, clearance: Clearance, settings: kopf.OperatorSettings) -> None:
        """Keep Kopf from trying for a minute, and then for ever, what it may not do."""
        if settings.scanning.disabled:
            return
        serves_names = bool(self._scope.patterns)
        if self._scope.exact and not (
            clearance.may_watch_definitions and (clearance.may_watch_namespaces or not serves_names)
        ):
            settings.scanning.disabled = True
            logger.info(
                "no permission to watch %s: what is created later is noticed at the next start",
                "namespaces and custom resource definitions" if serves_names else "custom resource definitions",
            )
        elif not clearance.may_watch_definitions:
            self._endurance.leave_out("customresourcedefinitions.apiextensions.k8s.io")
            logger.info("no permission to watch custom resource definitions: later ones are noticed at the next start")

    async def _log_in_again(self, **kwargs: Any) -> kopf.ConnectionInfo:
        """Credentials were refused, or a connection broke in a way that Kopf mends by a login."""
        if self._clock.now() - self._logged_in_at > GOOD:
            self._pause = 0.0
        while True:
            if self._pause:
                logger.warning("the API server does not accept the login; next one in %g s", self._pause)
                await asyncio.sleep(self._pause)
            self._pause = min(max(self._pause * 2, FIRST_PAUSE), MAXIMUM_PAUSE)
            try:
                info = await self._log_in_once(**kwargs)
            except Exception as error:  # a plugin that fails, a file that is being written
                logger.warning("the login failed and will be tried again: %s", one_line(error))
                continue
            self._logged_in_at = self._clock.now()
            self._login.renew(info)
            self._logins += 1
            # Kopf refuses what equals something refused before; an expiration that never comes makes it differ.
            expiration = info.expiration or _NEVER + dt.timedelta(microseconds=self._logins)
            return dataclasses.replace(info, expiration=expiration)
