"""From the first signal on, the next one ends the process; the first reaches Kopf, and others' handlers stay."""

import signal
import subprocess
import sys
import threading

import pytest

from tests.plugin.conftest import PATIENCE
from workqueue.plugin import impatience
from workqueue.plugin.impatience import Impatience

HEAD = """
import asyncio, importlib.util, os, signal, sys, time

# By its file: the module needs nothing of its room, so the child does without Kopf's second.
spec = importlib.util.spec_from_file_location("impatience", sys.argv[2])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
number = signal.Signals(int(sys.argv[1]))
others = {signal.SIGTERM, signal.SIGINT} - {number}
impatience = module.Impatience()


def tell(text):
    os.write(1, text.encode())


async def main():
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):  # as Kopf does
        loop.add_signal_handler(each, lambda each=each: (tell("came "), came.set()))
"""


def run(script, number):
    """The status and what was told."""
    body = "".join(f"    {line}\n" for line in script.strip().splitlines())
    done = subprocess.run(
        [sys.executable, "-c", f"{HEAD}{body}asyncio.run(main())\n", str(int(number)), impatience.__file__],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


both = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@both
def test_the_first_reaches_kopf_and_the_second_ends_the_process(number):
    script = (
        "impatience.arm(); os.kill(os.getpid(), number); await came.wait(); os.kill(os.getpid(), number); tell('no')"
    )
    assert run(script, number) == (-number, "came ")


@both
def test_the_second_may_be_the_other_one(number):
    script = (
        "impatience.arm(); os.kill(os.getpid(), number); await came.wait(); os.kill(os.getpid(), *others); tell('no')"
    )
    (other,) = {signal.SIGTERM, signal.SIGINT} - {number}
    assert run(script, number) == (-other, "came ")


@both
def test_it_holds_while_a_handler_blocks_the_loop(number):
    script = (
        "impatience.arm(); os.kill(os.getpid(), number); time.sleep(0); os.kill(os.getpid(), number); time.sleep(60)"
    )
    assert run(script, number) == (-number, "")


@both
def test_without_it_the_second_is_one_more_for_kopf(number):
    """So the tests above can fail."""
    script = (
        "os.kill(os.getpid(), number); await came.wait(); came.clear(); os.kill(os.getpid(), number); await came.wait()"
    )
    assert run(script, number) == (0, "came came ")


@both
def test_a_handler_that_the_user_sets_later_stays_the_users(number):
    script = """
impatience.arm()
loop.add_signal_handler(number, lambda: (tell("user's "), came.set()))
os.kill(os.getpid(), number); await came.wait(); came.clear()
os.kill(os.getpid(), number); await came.wait(); came.clear()
os.kill(os.getpid(), *others); await came.wait(); came.clear()
os.kill(os.getpid(), number); await came.wait()
"""
    assert run(script, number) == (0, "user's user's came user's ")


@both
def test_a_handler_of_the_users_from_before_is_left_alone(number):
    script = """
loop.remove_signal_handler(number)
signal.signal(number, lambda *_: tell("user's "))
impatience.arm()
os.kill(os.getpid(), number); time.sleep(0); os.kill(os.getpid(), number); time.sleep(0)
"""
    assert run(script, number) == (0, "user's user's ")


@both
def test_after_an_end_without_a_signal_all_is_as_before(number):
    script = """
impatience.arm()
impatience.disarm()
for _ in range(2):
    os.kill(os.getpid(), number); await came.wait(); came.clear()
"""
    assert run(script, number) == (0, "came came ")


def test_in_another_thread_than_the_main_one_it_does_nothing():
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    thread = threading.Thread(target=Impatience().arm)
    thread.start()
    thread.join(PATIENCE)
    assert {each: signal.getsignal(each) for each in before} == before
