"""Somebody who changes objects all the time, whatever becomes of the server."""

import random
import threading
from typing import Self

import requests

from tests.cluster.client import ApiError, Client
from tests.cluster.controlplane import ControlPlane

#: These are changed and made anew, but are there nearly always, so that lists have several pages.
NAMES = tuple("abcdefghijkl")


class Writer:
    """Writes in a thread of its own, from `with` to its end."""

    def __init__(self, plane: ControlPlane, path: str, *, chance: random.Random) -> None:
        """:param path: of the collection."""
        self._plane = plane
        self._path = path
        self._chance = chance
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="writer")
        #: Writes that the server took.
        self.writes = 0
        self._number = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def fill(self) -> None:
        """Make what there is at first."""
        with self._plane.client() as client:
            for name in NAMES[::2]:
                self._make(client, name)

    def _run(self) -> None:
        client = self._plane.client()
        try:
            while not self._over.wait(self._chance.choice((0.0, 0.005, 0.02, 0.05))):
                try:
                    self._write(client)
                    self.writes += 1
                except ApiError:  # it is there, or is not, or the server cannot just now
                    self._over.wait(0.01)
                except requests.RequestException:
                    client.close()
                    client = self._plane.client()
                    self._over.wait(0.05)
        finally:
            client.close()

    def _write(self, client: Client) -> None:
        name = self._chance.choice(NAMES)
        match self._chance.choice(("change", "change", "make", "delete", "make anew")):
            case "change":
                self._number += 1
                client.patch(f"{self._path}/{name}", {"data": {"number": str(self._number)}})
            case "make":
                self._make(client, name)
            case "delete":
                client.call("DELETE", f"{self._path}/{name}")
            case _:
                client.call("DELETE", f"{self._path}/{name}")
                self._make(client, name)

    def _make(self, client: Client, name: str) -> None:
        self._number += 1
        data = {"number": str(self._number), "text": "x" * self._chance.choice((0, 10, 3000))}
        client.call("POST", self._path, {"metadata": {"name": name}, "data": data})
