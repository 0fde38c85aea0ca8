"""An operator that finds half a second long for a login, and waits a fifth before it tries again."""

from workqueue import Manager
from workqueue.plugin import entrance

entrance.LIMIT = 0.5
entrance.FIRST_PAUSE = 0.2

manager = Manager()
pods = manager.informer("pods")
