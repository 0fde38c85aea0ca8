"""A new serving certificate for kube-apiserver, which signs it itself, so that the old one verifies nothing any more.

    old = rotate(plane)  # and plane.ca_file is the new one

As in a real cluster nothing is restarted: kube-apiserver looks at its files and serves the new pair some milliseconds
after they have changed. Connections that are open go on with the old one, so cut them if a client is to notice.

The key beside the certificate is also the one that service account tokens are signed with (see `controlplane`). The new
file has the new key and behind it all former ones: TLS and signing take the first, verifying takes any. So tokens stay
good, whether kube-apiserver is restarted or not.

The pair comes from kube-apiserver itself, as no other tool for that need be there: one that lacks a file which it reads
after it has made its certificate, and so ends in a quarter of a second.

Of a whole control plane the other parts were given the old certificate: their open connections go on, but once they
have to connect anew they cannot. `plane.stop_part` and `start_part` give them the new one.
"""

import ssl
import subprocess
import tempfile
import time
from pathlib import Path

from tests.cluster import build
from tests.cluster.components import APISERVER
from tests.cluster.controlplane import ControlPlane
from tests.cluster.processes import HOST, ControlPlaneError, free_ports

_PATIENCE = 70.0  # the server looks at the files each minute, should it not be told of a change


def rotate(plane: ControlPlane) -> str:
    """Give kube-apiserver a new certificate; returns the old one (PEM), once the new one is served."""
    certificate = Path(plane.ca_file)
    old = certificate.read_text(encoding="utf-8")
    new, key = _make(build.ensure(plane.parts) / APISERVER.name)
    key_file = certificate.with_suffix(".key")
    _replace(key_file, key + key_file.read_text(encoding="utf-8"))  # for a moment not a pair, so not loaded
    _replace(certificate, new)
    address, deadline = (HOST, plane.ports[APISERVER.name]), time.monotonic() + _PATIENCE
    while ssl.get_server_certificate(address).strip() not in new:
        if time.monotonic() > deadline:
            raise ControlPlaneError(f"kube-apiserver still serves its old certificate after {_PATIENCE:g} s")
        time.sleep(0.01)
    return old


def _make(binary: Path) -> tuple[str, str]:
    """A certificate and its key, as kube-apiserver makes them."""
    with tempfile.TemporaryDirectory(prefix="workqueue-certificate-") as folder:
        flags = [
            f"--cert-dir={folder}",
            f"--bind-address={HOST}",
            f"--advertise-address={HOST}",
            f"--secure-port={free_ports(1)[0]}",
            "--etcd-servers=http://127.0.0.1:1",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder}/missing",
            f"--service-account-signing-key-file={folder}/missing",
        ]
        run = subprocess.run([binary, *flags], capture_output=True, text=True, timeout=_PATIENCE, check=False)
        certificate = Path(folder) / "apiserver.crt"
        if not certificate.exists():
            raise ControlPlaneError(f"kube-apiserver has made no certificate:\n{run.stderr[-2000:]}")
        return certificate.read_text(encoding="utf-8"), certificate.with_suffix(".key").read_text(encoding="utf-8")


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.touch(mode=0o600)
    new.write_text(text, encoding="utf-8")
    new.replace(path)
