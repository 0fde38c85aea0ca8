"""The plugin: where the machinery meets Kopf. The only room that imports kopf, kubernetes and pykube."""

from workqueue.plugin.controllers import ManagedController
from workqueue.plugin.manager import Manager
from workqueue.plugin.sources import ResourceInformer

__all__ = ["ManagedController", "Manager", "ResourceInformer"]
