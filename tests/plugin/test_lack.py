"""What an informer lacks is said at once and every five minutes, until it is there."""

import kopf
import pytest

from tests.informer.conftest import AlarmClock
from workqueue import Manager
from workqueue.plugin.lack import Lack, Reminder

START = 1000.0


@pytest.fixture
def clock():
    return AlarmClock(start=START)


@pytest.fixture
def remind(clock):
    """``remind(lack, …)`` starts a reminder for these."""
    made = []

    def start(*lacks):
        made.append(Reminder(lacks, clock=clock))
        made[-1].start()
        clock.wait_until_asleep_until(START + 300)
        return made[-1]

    yield start
    for each in made:
        each.stop()
        assert not each._sleeper.is_alive


def test_it_is_repeated_every_five_minutes_until_it_is_over(clock, remind, caplog):
    podz, nodes = Lack(), Lack(waiting=lambda: ["web"])
    remind(podz, nodes)
    for _ in range(3):
        podz.say("podz is not served", hint=lambda: "waiting for it")
    nodes.say("nodes is not served", hint=lambda: "waiting for it")
    lines = ["podz is not served; waiting for it", "nodes is not served; waiting for it, and so is controller web"]
    assert caplog.messages == lines
    clock.step(299.9)
    assert caplog.messages == lines
    clock.step_to(START + 300)
    clock.wait_until_asleep_until(START + 600)
    assert caplog.messages == lines * 2
    nodes.over()
    clock.step_to(START + 600)
    clock.wait_until_asleep_until(START + 900)
    assert caplog.messages == [*lines, *lines, lines[0]]


def test_time_that_was_slept_through_is_one_line(clock, remind, caplog):
    lack = Lack()
    remind(lack)
    lack.say("podz is not served", hint=lambda: "waiting for it")
    clock.step(10_000)
    clock.wait_until_asleep_until(START + 10_300)
    assert len(caplog.messages) == 2


def test_another_problem_is_said_at_once(caplog):
    lack = Lack()
    lack.say("podz is not served", hint=lambda: "waiting for it")
    lack.say("podz: no namespace fits", hint=lambda: "waiting for one")
    assert lack.problem == "podz: no namespace fits"
    lack.over()
    lack.say("podz: no namespace fits", hint=lambda: "waiting for one")
    assert len(caplog.messages) == 3


def test_an_informer_knows_the_controllers_that_wait_for_it(caplog):
    manager = Manager(registry=kopf.OperatorRegistry())
    pods, nodes = manager.informer("pods"), manager.informer("nodes")
    pods.controller(lambda request: None).owns(nodes)
    manager.controller("alone", lambda request: None)
    for source in (pods, nodes, manager.informer("secrets")):
        source.lack.say(f"{source.name} is not served", hint=lambda: "waiting for it")
    assert caplog.messages == [
        "pods is not served; waiting for it, and so is controller pods",
        "nodes is not served; waiting for it, and so is controller pods",
        "secrets is not served; waiting for it",
    ]
