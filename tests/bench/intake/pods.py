"""Pods as clusters have them: those of some Deployments, each with names, hashes, addresses and times of its own.

They are made up from their number, so that each run has the same. What compresses well in real pods, the template of a
Deployment and what the control plane says in every pod, repeats itself here as well; what does not, does not.
"""

import datetime as dt
import functools
import json
import random
from typing import Any

DEPLOYMENTS, NAMESPACES = 50, 20
#: Pods on a node: 100 of consecutive numbers.
CROWD = 100
#: Who writes a pod: its maker, and the kubelet.
MAKER, KUBELET = "kube-controller-manager", "kubelet"

_WORDS = ("api", "web", "cart", "search", "mail", "user", "order", "stock", "login", "video", "batch", "proxy", "audit")
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # those that Kubernetes makes names of
_BEGIN = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)

Json = dict[str, Any]


def namespaces() -> list[str]:
    """The names of all namespaces."""
    return [f"team-{_WORDS[number % len(_WORDS)]}-{number}" for number in range(NAMESPACES)]


def address(number: int) -> str:
    """Of the node of that pod."""
    mixed = (number // CROWD * 40_503) % 2**24  # an odd factor: no two nodes have one
    return f"10.{mixed >> 16}.{mixed >> 8 & 255}.{mixed & 255}"


def make(number: int, *, large: bool = True) -> Json:
    """The pod of that number as its maker creates it.

    :param large: with a second container, and more to say of each.
    """
    chance = random.Random(f"pod {number}")
    deployment = number % DEPLOYMENTS
    template = json.loads(_template_text(deployment, large=large))  # a copy
    labels = template["metadata"]["labels"]
    set_name = f"{labels['app']}-{labels['pod-template-hash']}"
    token = f"kube-api-access-{_letters(chance, 5)}"
    mount = {"name": token, "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    spec = template["spec"]
    for container in spec["containers"]:
        container["volumeMounts"].append(mount)
    spec["volumes"].append({"name": token, "projected": {"sources": _token_sources(), "defaultMode": 420}})
    spec["nodeName"] = f"ip-{address(number).replace('.', '-')}.eu-central-1.compute.internal"
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set_name, "uid": _uid(random.Random(set_name))}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{set_name}-{_letters(chance, 5)}{number}",
            "generateName": f"{set_name}-",
            "namespace": namespaces()[deployment % NAMESPACES],
            "labels": labels,
            "annotations": {**template["metadata"]["annotations"], "checksum/config": _hex(chance, 64)},
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": spec,
    }


def status(pod: Json, number: int) -> Json:
    """What the kubelet says of it."""
    chance = random.Random(f"status {number}")
    started = _BEGIN + dt.timedelta(seconds=chance.randrange(10_000_000))
    times = [(started + dt.timedelta(seconds=each)).strftime("%Y-%m-%dT%H:%M:%SZ") for each in (0, 1, 2, 9)]
    conditions = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    own = f"100.{chance.randrange(64, 128)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"
    host = address(number)
    return {
        "phase": "Running",
        "conditions": [
            {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": chance.choice(times)}
            for kind in conditions
        ],
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "podIP": own,
        "podIPs": [{"ip": own}],
        "startTime": times[0],
        "containerStatuses": [
            {
                "name": each["name"],
                "state": {"running": {"startedAt": times[2]}},
                "lastState": {},
                "ready": True,
                "restartCount": chance.choice((0, 0, 0, 1, 7)),
                "image": each["image"],
                "imageID": f"{each['image'].split(':')[0]}@sha256:{_hex(random.Random(each['image']), 64)}",
                "containerID": f"containerd://{_hex(chance, 64)}",
                "started": True,
            }
            for each in pod["spec"]["containers"]
        ],
        "qosClass": "Burstable",
    }


def stored(number: int, version: int, *, large: bool = False) -> Json:
    """A pod as an API server has it: what the server adds is added here."""
    chance = random.Random(f"stored {number}")
    pod = make(number, large=large)
    created = (_BEGIN + dt.timedelta(seconds=chance.randrange(10_000_000))).strftime("%Y-%m-%dT%H:%M:%SZ")
    written = {"apiVersion": "v1", "time": created, "fieldsType": "FieldsV1"}
    state = status(pod, number)
    fields = {"f:metadata": _fields(pod["metadata"]), "f:spec": _fields(pod["spec"])}
    pod["metadata"] |= {
        "uid": _uid(chance),
        "resourceVersion": str(version),
        "creationTimestamp": created,
        "managedFields": [
            {"manager": MAKER, "operation": "Update", **written, "fieldsV1": fields},
            {
                "manager": KUBELET,
                "operation": "Update",
                **written,
                "fieldsV1": {"f:status": _fields(state)},
                "subresource": "status",
            },
        ],
    }
    pod["status"] = state
    return pod


@functools.cache
def _template_text(deployment: int, *, large: bool) -> str:
    return json.dumps(_template(deployment, large=large))


def _template(deployment: int, *, large: bool) -> Json:
    chance = random.Random(f"deployment {deployment}")
    app = f"{_WORDS[deployment % len(_WORDS)]}-{chance.choice(_WORDS)}-{deployment}"
    spec: Json = {
        "containers": [_container(chance, name, app, large=large) for name in ((app, "proxy") if large else (app,))],
        "volumes": [
            {"name": "config", "configMap": {"name": f"{app}-config", "defaultMode": 420}},
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": app,
        "automountServiceAccountToken": False,  # its volume is written out, as the one of the server's admission
        "securityContext": {"runAsUser": 1000 + deployment, "runAsNonRoot": True, "fsGroup": 2000},
        "schedulerName": "default-scheduler",
        "priority": 0,
        "enableServiceLinks": True,
    }
    if large:
        spec["tolerations"] = [
            {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            for what in ("not-ready", "unreachable")
        ]
        selector = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": "kubernetes.io/hostname"}
        preferred = [{"weight": 100, "podAffinityTerm": selector}]
        spec["affinity"] = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    return {
        "metadata": {
            "labels": {
                "app": app,
                "app.kubernetes.io/name": app,
                "app.kubernetes.io/version": f"1.{deployment}.{chance.randrange(20)}",
                "app.kubernetes.io/managed-by": "Helm",
                "team": f"team-{deployment % NAMESPACES}",
                "pod-template-hash": _letters(chance, 10),
            },
            "annotations": {
                "prometheus.io/scrape": "true",
                "kubectl.kubernetes.io/restartedAt": "2026-02-03T04:05:06Z",
            },
        },
        "spec": spec,
    }


def _container(chance: random.Random, name: str, app: str, *, large: bool) -> Json:
    port = 8080 if name == app else 9090
    probe = {
        "httpGet": {"path": "/healthz", "port": port, "scheme": "HTTP"},
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    container = {
        "name": name,
        "image": f"registry.example.com/{app}/{name}:1.{chance.randrange(30)}.{chance.randrange(30)}",
        "args": ["serve", f"--name={app}", f"--threads={chance.randrange(2, 32)}"],
        "ports": [{"name": "http", "containerPort": port, "protocol": "TCP"}],
        "env": [
            {"name": "DATABASE_URL", "value": f"postgres://{app}.{_letters(chance, 8)}.internal:5432/{app}"},
        ],
        "resources": {"limits": {"memory": "512Mi"}, "requests": {"cpu": "250m", "memory": "256Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/config"}],
        "readinessProbe": probe,
    }
    if large:
        container |= {
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": "IfNotPresent",
            "livenessProbe": {**probe, "initialDelaySeconds": 10},
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    return container


def _token_sources() -> list[Json]:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]


def _fields(value: Any) -> Json:
    """Roughly what the API server notes of who wrote what."""
    if isinstance(value, dict):
        return {f"f:{key}": _fields(each) for key, each in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        found = {}
        for each in value:
            key = next((key for key in ("name", "type", "uid", "mountPath", "ip", "key") if key in each), None)
            if key is not None:
                found[f'k:{{"{key}":"{each[key]}"}}'] = {".": {}, **_fields(each)}
        return found
    return {}


def _letters(chance: random.Random, number: int) -> str:
    return "".join(chance.choices(_LETTERS, k=number))


def _hex(chance: random.Random, number: int) -> str:
    return f"{chance.getrandbits(4 * number):0{number}x}"


def _uid(chance: random.Random) -> str:
    digits = _hex(chance, 32)
    return "-".join((digits[:8], digits[8:12], f"4{digits[13:16]}", f"a{digits[17:20]}", digits[20:]))
