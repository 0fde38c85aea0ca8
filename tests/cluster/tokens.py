"""Bearer tokens that can be taken away and given anew while the API server runs: those of service accounts.

    token = service_account(plane, "operator", role="cluster-admin")
    revoke(plane, "operator", token=token)  # 401 from now on
    token = service_account(plane, "operator", role="cluster-admin")  # a new one; the old stays refused

The static tokens of `ControlPlane(users=)` are read at kube-apiserver's start only. A service account's token is good
as long as the account with its uid is there: one that is made anew under the name has another.

kube-apiserver remembers for 10 seconds that a token was good. One that was not used in these is refused at once, one of
a busy client up to 10 s (measured: 10.1) after its account is gone; no flag shortens that. A restart does: 2 s, but it
cuts all watches. A watch that is open is not asked for its token again and goes on.
"""

import time

from tests.cluster.client import ApiError, Client
from tests.cluster.controlplane import ControlPlane

_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_PATIENCE = 20.0


def service_account(plane: ControlPlane, name: str, *, namespace: str = "default", role: str = "") -> str:
    """A new token of a service account, which is made if it is not there.

    role: a cluster role with a rule about resources, to which it is bound everywhere, in force at the return; "" for
    none. "view", "edit" and "admin" are empty where no kube-controller-manager fills them.
    """
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    with plane.client() as admin:
        _make(admin, path, {"metadata": {"name": name}})
        if role:
            subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
            reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
            binding = {"metadata": {"name": f"{namespace}-{name}-{role}"}, "subjects": [subject], "roleRef": reference}
            _make(admin, f"{_RBAC}/clusterrolebindings", binding)
            _wait_until_bound(admin, role, user=f"system:serviceaccount:{namespace}:{name}")
        token: str = admin.call("POST", f"{path}/{name}/token", {"spec": {}})["status"]["token"]
    return token


def revoke(plane: ControlPlane, name: str, *, token: str, namespace: str = "default", restart: bool = False) -> None:
    """Delete the account, and return when the server refuses the token. Role bindings stay, for one of that name.

    restart: restart kube-apiserver for it, which is quicker than to wait if the token was used just now.
    """
    with plane.client() as admin:
        admin.call("DELETE", f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}")
    if restart:
        plane.stop_apiserver(grace=0)
        plane.start_apiserver()
    deadline = time.monotonic() + _PATIENCE
    with Client(plane.url, token=token, ca_file=plane.ca_file) as holder:
        while not _is_refused(holder):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the token of {name} is still good after {_PATIENCE:g} s")
            time.sleep(0.05)


def _make(admin: Client, path: str, document: object) -> None:
    try:
        admin.call("POST", path, document)
    except ApiError as error:
        if error.code != 409:
            raise


def _wait_until_bound(admin: Client, role: str, *, user: str) -> None:
    """The server sees a binding a moment after it was made. Not asked by the token, which is then not yet used."""
    rule = next(each for each in admin.call("GET", f"{_RBAC}/clusterroles/{role}")["rules"] if each.get("resources"))
    group, resource, verb = rule["apiGroups"][0], rule["resources"][0], rule["verbs"][0]
    review = {"spec": {"user": user, "resourceAttributes": {"group": group, "resource": resource, "verb": verb}}}
    deadline = time.monotonic() + _PATIENCE
    while not admin.call("POST", _REVIEWS, review)["status"]["allowed"]:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{user} was not given the role {role} within {_PATIENCE:g} s")
        time.sleep(0.01)


def _is_refused(holder: Client) -> bool:
    try:
        holder.call("GET", "/api/v1/namespaces/default")
    except ApiError as error:
        return error.code == 401
    return False
