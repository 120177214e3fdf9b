"""The room of alerts: its parts, wired."""

from outrider.center.alerts.carriage import Carriage
from outrider.center.alerts.evaluation import Evaluation
from outrider.center.alerts.sending import Sending
from outrider.center.alerts.service import AlertService
from outrider.center.alerts.signs import WhoIsThere
from outrider.center.security.sealing import Sealer
from outrider.center.store.engine import Store
from outrider.kit.clock import Clock


class Alerts:
    """What evaluates rules, what sends notices, and what people ask."""

    def __init__(
        self,
        store: Store,
        presence: WhoIsThere,
        clock: Clock,
        sealer: Sealer,
        *,
        public_url: str,
    ) -> None:
        """Wire the parts; notices name `public_url`, the address that people reach this center by."""
        self.evaluation = Evaluation(store, presence, clock, center=public_url)
        # Two: whoever tries a channel out must not wait for notices that nobody takes, nor hold them up.
        self.sending = Sending(store, clock, sealer, Carriage())
        self.service = AlertService(store, clock, sealer, Carriage(), presence.heard_since)
        self.services = (self.evaluation, self.sending)
        #: To be told of hosts' minutes as they are stored.
        self.observe_minutes = self.evaluation.readings.observe
