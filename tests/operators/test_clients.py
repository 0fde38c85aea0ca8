"""An operator's clients: wired to its workers, its rate, its login and its end."""

import threading

from tests.operators.harness import PATIENCE, eventually, run_in_process
from tests.operators.objects import pod
from workqueue.plugin.access import SPARE_CONNECTIONS
from workqueue.testing.apiserver import Fault

FILE = "tests/operators/files/asking.py"


def with_token(server, kubeconfig, token):
    text = server.kubeconfig_text().replace('"token": "none"', f'"token": "{token}"')
    assert token in text
    kubeconfig.write_text(text)


def test_a_refusal_in_a_worker_is_renewed_and_the_run_knows_nothing_of_it(server, kubeconfig):
    with_token(server, kubeconfig, "first")
    server.create("pods", pod("a"))
    with run_in_process("-A", path=FILE) as operator:
        module = operator.module
        eventually(lambda: len(module.found) == 1, "the first run")
        with_token(server, kubeconfig, "second")
        server.script(Fault(path="/api/v1/namespaces/default/pods/b", status=401))
        server.create("pods", pod("b"))
        eventually(lambda: len(module.found) == 2, "the second run")
        assert all(official == pykube for official, pykube in module.found)
        login = module.manager._runtime.login
        assert (login.statistics().renewals, login._info.token) == (1, "second")
        assert operator.metric("rest_client_requests_total", code="401", method="GET") == 1
        assert operator.metric("rest_client_requests_total", code="200", method="GET") >= 4
        assert operator.metric("rest_client_request_duration_seconds_count", verb="GET") >= 4
        assert operator.metric("rest_client_rate_limiter_duration_seconds_count", verb="GET") >= 5
        assert module.controller.statistics().error == 0
        assert login._current().configuration.connection_pool_maxsize == 7 + SPARE_CONNECTIONS
    assert not login.is_logged_in


def test_a_refusal_while_the_operator_stops_is_one_at_once(server, kubeconfig):
    with_token(server, kubeconfig, "first")
    server.create("pods", pod("late"))
    server.script(Fault(path="/api/v1/namespaces/default/pods/late", status=401))
    with run_in_process("-A", path=FILE) as operator:
        module, runtime = operator.module, operator.module.manager._runtime
        assert module.begun.wait(PATIENCE)
        with_token(server, kubeconfig, "second")

        def when_it_stops():
            eventually(runtime._stopping.is_set, "the stop")
            module.go_on.set()

        stopper = threading.Thread(target=when_it_stops)
        stopper.start()
    stopper.join(PATIENCE)
    assert module.refused == [401]
    assert runtime.login.statistics().renewals == 0
