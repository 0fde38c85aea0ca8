"""An API server for events that does what it is told, and objects to tell of."""

import threading

from workqueue.control.events import EventGone

PATIENCE = 30.0


class Sink:
    """Keeps events as a server does, and remembers each call; or raises what it is told to."""

    def __init__(self):
        #: Called with "create" or "patch" and the number of the call; an exception is raised.
        self.problem = lambda verb, call: None
        self.changed = threading.Condition()
        #: Of each call: the verb, the event's name, and what was sent.
        self.calls = []
        self.threads = set()
        #: By namespace and name.
        self.events = {}

    def create(self, namespace, event):
        name = event["metadata"]["name"]
        self._called("create", name, event)
        assert event["metadata"]["namespace"] == namespace
        assert "resourceVersion" not in event["metadata"]
        self.events[namespace, name] = {**event, "metadata": {**event["metadata"], "resourceVersion": "1"}}
        return self.events[namespace, name]

    def patch(self, namespace, name, patch):
        self._called("patch", name, patch)
        if (namespace, name) not in self.events:
            raise EventGone(f'events "{name}" not found')
        self.events[namespace, name].update(patch)
        return self.events[namespace, name]

    def _called(self, verb, name, sent):
        with self.changed:
            self.calls.append((verb, name, sent))
            self.threads.add(threading.current_thread())
            self.changed.notify_all()
        problem = self.problem(verb, len(self.calls))
        if problem is not None:
            raise problem

    @property
    def verbs(self):
        return [verb for verb, _, _ in self.calls]

    @property
    def messages(self):
        """Of what is kept."""
        return [event["message"] for event in self.events.values()]

    def wait(self, count):
        """Until so many calls have begun."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.calls) >= count, PATIENCE), f"{self.verbs} of {count}"


def pod(name="web", namespace="default", **fields):
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-of-{name}", "resourceVersion": "7"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, **fields}
