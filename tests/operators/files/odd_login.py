"""An operator both of whose logins raise what nobody expects: ODD says what."""

import builtins
import os

import kopf

from workqueue import Manager


def odd(**_):
    raise getattr(builtins, os.environ["ODD"])("odd")


kopf.login_via_client = kopf.login_via_pykube = odd

manager = Manager()
controller = manager.informer("pods").controller(lambda request: None)
