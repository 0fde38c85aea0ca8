"""From the stop on, the next signal ends the process, whatever else the process does with signals."""

import signal
import subprocess
import sys

import pytest

from tests.plugin.conftest import PATIENCE
from workqueue.plugin import impatience

#: What each child begins with. The module needs nothing of its room, so the child does without Kopf's second.
HEAD = """
import asyncio, importlib.util, os, signal, sys, threading, time

spec = importlib.util.spec_from_file_location("impatience", sys.argv[1])
impatience = importlib.util.module_from_spec(spec)
spec.loader.exec_module(impatience)
number = signal.Signals(int(sys.argv[2]))
handled = []


def handle(*args):
    handled.append(args)

"""
#: A loop that minds signals as Kopf's does.
LOOP = """
async def main():
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, handle)
    STOP
    os.write(1, b"ready")
    BLOCK

asyncio.run(main())
"""


@pytest.fixture
def child():
    """``child(script, number)`` is a process that runs the script, with its output to read."""
    started = []

    def start(script, number):
        command = [sys.executable, "-c", HEAD + script, impatience.__file__, str(int(number))]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=PATIENCE)


def ends_by(process, number):
    """Send a signal and see the process end by it, and by nothing else."""
    assert process.stdout.read(5) == b"ready", process.stderr.read()
    process.send_signal(number)
    output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output, errors) == (-number, b"", b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_after_the_stop_ends_the_process_even_if_its_loop_is_blocked(child, number):
    """No Python code of the loop runs any more."""
    script = LOOP.replace("STOP", "impatience.end_at_next_signal()").replace("BLOCK", "time.sleep(60)")
    ends_by(child(script, number), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_before_the_stop_the_loop_minds_its_signals(child, number):
    """Else the test above would prove nothing."""
    wait = "while not handled: await asyncio.sleep(0.01)\n    os._exit(0)"
    process = child(LOOP.replace("STOP", "").replace("BLOCK", wait), number)
    assert process.stdout.read(5) == b"ready"
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("before", ["handle", "signal.SIG_IGN", "signal.default_int_handler"])
def test_whatever_a_signal_did_before_it_ends_the_process_now(child, number, before):
    script = f"""
signal.signal(number, {before})
impatience.end_at_next_signal()
os.write(1, b"ready")
time.sleep(60)
"""
    ends_by(child(script, number), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_in_another_thread_than_the_main_one_it_does_nothing(child, number):
    """An operator of KopfRunner's is in one: the process, a test, is not its own."""
    script = """
signal.signal(number, handle)
failures = []

def stop():
    try:
        impatience.end_at_next_signal()
    except BaseException as error:
        failures.append(error)

thread = threading.Thread(target=stop)
thread.start()
thread.join()
os.kill(os.getpid(), number)
print(len(handled), failures, signal.getsignal(number) is handle)
"""
    process = child(script, number)
    output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output.strip(), errors) == (0, b"1 [] True", b"")


def test_other_signals_stay_as_they_are(child):
    script = """
others = {signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT}
for each in others:
    signal.signal(each, handle)
impatience.end_at_next_signal()
print({each for each in others if signal.getsignal(each) is handle} == others)
"""
    output, errors = child(script, signal.SIGTERM).communicate(timeout=PATIENCE)
    assert (output.strip(), errors) == (b"True", b"")
