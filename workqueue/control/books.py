"""What a controller remembers of its keys, and counts of its runs."""

from dataclasses import dataclass, field

from workqueue.base.keys import ObjectKey
from workqueue.base.origin import INITIAL, Origin
from workqueue.control.attempts import Attempts
from workqueue.control.initial import InitialKeys
from workqueue.control.parking import Parking
from workqueue.control.reasons import Reasons
from workqueue.control.tally import Tally


@dataclass(frozen=True, slots=True)
class Books:
    """Of one controller; each book has its own lock."""

    initial: InitialKeys = field(default_factory=InitialKeys)
    attempts: Attempts = field(default_factory=Attempts)
    parking: Parking = field(default_factory=Parking)
    reasons: Reasons = field(default_factory=Reasons)
    tally: Tally = field(default_factory=Tally)

    def asked(self, key: ObjectKey, origin: Origin) -> bool:
        """A key is asked for. To be said before it is queued: a run may follow at once.

        :param origin: by whom, and whether there is anything new to say of it.
        :return: False if it should not be queued: it is parked and nothing is new, or it has its retry, which nothing
            new was learnt to make earlier.
        """
        is_initial = origin.reason == INITIAL.reason
        if not self.parking.admits(key, news=origin.news and not is_initial):
            return False
        if is_initial and not self.initial.through:
            self.initial.add(key)
        if not origin.news and self.attempts.failures(key):
            return False
        if origin.reason:
            self.reasons.add(key, origin.reason)
        return True
