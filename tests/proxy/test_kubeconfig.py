"""Kubeconfigs that lead to the proxy."""

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.proxy import Proxy


def kubeconfig(folder: Path, *servers: str, **fields: Any) -> Path:
    clusters = [{"name": each, "cluster": {"server": each, **fields}} for each in servers]
    users = [{"name": "me", "user": {"client-key": "keys/me.key", "tokenFile": "/run/token", "token": "secret"}}]
    folder.mkdir()
    path = folder / "config"
    path.write_text(yaml.safe_dump({"kind": "Config", "clusters": clusters, "users": users, "current-context": "c"}))
    return path


def test_a_kubeconfig_leads_to_the_proxy_from_wherever_it_lies(proxy: Proxy, tmp_path: Path) -> None:
    port = proxy._target[1]
    servers = (f"https://127.0.0.1:{port}", f"https://127.0.0.1:{port}/prefix", "https://elsewhere.example:6443")
    path = kubeconfig(tmp_path / "cluster", *servers, **{"certificate-authority": "ca.crt"})
    into = tmp_path / "copy"
    into.touch(mode=0o666)
    assert proxy.kubeconfig(path, into=str(into)) == into
    assert stat.S_IMODE(into.stat().st_mode) == 0o600
    copy, original = yaml.safe_load(into.read_text()), yaml.safe_load(path.read_text())
    assert [each["cluster"]["server"] for each in copy["clusters"]] == [
        f"https://127.0.0.1:{proxy.port}",
        f"https://127.0.0.1:{proxy.port}/prefix",
        "https://elsewhere.example:6443",
    ]
    assert {each["cluster"]["certificate-authority"] for each in copy["clusters"]} == {
        str(tmp_path / "cluster" / "ca.crt")
    }
    assert copy["users"][0]["user"] == {
        "client-key": str(tmp_path / "cluster" / "keys" / "me.key"),
        "tokenFile": "/run/token",
        "token": "secret",
    }
    assert {**copy, "clusters": 0, "users": 0} == {**original, "clusters": 0, "users": 0}


def test_a_kubeconfig_that_leads_elsewhere_or_nowhere_is_an_error(proxy: Proxy, tmp_path: Path) -> None:
    def error(path: Path) -> str:
        with pytest.raises(ValueError) as caught:
            proxy.kubeconfig(path, into=tmp_path / "copy")
        assert not (tmp_path / "copy").exists()
        return str(caught.value)

    elsewhere = kubeconfig(tmp_path / "elsewhere", "https://127.0.0.1", "http://elsewhere.example")
    assert error(elsewhere) == (
        f"{elsewhere}: no cluster is at 127.0.0.1, port {proxy._target[1]}; "
        "found: https://127.0.0.1, http://elsewhere.example"
    )
    assert error(kubeconfig(tmp_path / "empty")).endswith("; found: nowhere")
    assert error(tmp_path / "missing").startswith(f"{tmp_path}/missing: no kubeconfig can be read there: ")
    text = tmp_path / "text"
    text.write_text("a: b: c")
    assert error(text).startswith(f"{text}: no kubeconfig can be read there: mapping values are not allowed here")
    text.write_text("hello")
    assert error(text) == f"{text}: not a kubeconfig, but a str"
