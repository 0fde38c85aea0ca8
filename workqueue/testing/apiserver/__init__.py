"""A Kubernetes API server inside the process, for tests and demos that must not need a cluster.

It speaks what kube-apiserver 1.36 speaks, as far as controllers notice: one contract suite,
``tests/contract``, passes against both. What it leaves out on purpose:

- ``managedFields`` and who owns which field; a server-side apply is a merge patch that may create.
- Checking fields against types and schemas, beyond names, labels, finalizers, containers, definitions,
  microsecond times and events' namespaces (``validation``). Unknown fields are kept, not pruned. Few
  defaults (``defaults``).
- Everything other processes do in a cluster: no garbage collection of owned objects, no kubelet, no
  scheduler, no deployment controller. The content of a deleted namespace goes at once (``deletion``).
- Strategic merge patches know their merge keys by the list's name (``patches``).
- Reads never lag, so "any" version is the newest; a version of the future is refused at once, the real
  server waits three seconds for it. Field order in JSON, and the tails of messages that quote Go's
  decoders, differ.
- Bookmarks come at their interval even if nothing happened since the last one; the real server's need an event.
- Protobuf (so ``kubectl create namespace`` is refused; ``kubectl apply`` and ``create -f`` work), YAML, gzip,
  HTTP/2 and TLS, credentials, admission, quotas, priority and fairness.
- OpenAPI schemas: only as much is served as ``kubectl apply`` asks for (``openapi``).
- ``propagationPolicy`` is read by nobody: owned objects are not collected in any case.
- Subresources but status: no scale, eviction, binding, log or exec.
"""

from workqueue.testing.apiserver.cluster import PatchType
from workqueue.testing.apiserver.errors import ApiError
from workqueue.testing.apiserver.faults import Fault, RecordedRequest
from workqueue.testing.apiserver.server import ApiServer

__all__ = ["ApiError", "ApiServer", "Fault", "PatchType", "RecordedRequest"]
