"""Where the measurements of every meter provider pass by."""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakSet

from opentelemetry.metrics import CallbackOptions, _internal, get_meter_provider
from opentelemetry.metrics._internal import instrument
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics._internal.measurement import Measurement
from opentelemetry.sdk.metrics._internal.measurement_consumer import SynchronousMeasurementConsumer

from weaver_ai.testing.capture.sink import Sink
from weaver_ai.testing.capture.stand_ins import stand_in
from weaver_ai.testing.capture.why_empty import off
from weaver_ai.testing.patches import Patches

__all__ = ["Measurement", "observe", "replace_metric_proxies", "tap_metrics", "why_no_metrics"]

_providers: WeakSet[MeterProvider] = WeakSet()


def tap_metrics(patches: Patches, current: Callable[[], Sink | None]) -> None:
    """Tell of each measurement that is taken, before views and readers."""

    def wrap_consume(original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def consume_measurement(self: SynchronousMeasurementConsumer, measurement: Measurement) -> None:
            original(self, measurement)
            sink = current()
            if sink is not None:
                sink.measured(measurement)

        return consume_measurement

    def wrap_init(original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def init(self: MeterProvider, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **kwargs)
            _providers.add(self)

        return init

    patches.replace(SynchronousMeasurementConsumer, "consume_measurement", wrap_consume)
    patches.replace(MeterProvider, "__init__", wrap_init)
    # Those made earlier, found once a session: nothing else holds them all.
    _providers.update(found for found in gc.get_objects() if type(found) is MeterProvider)


def observe() -> Iterator[Measurement]:
    """What the observable instruments of the live providers say now; a callback that fails says nothing."""
    for provider in list(_providers):
        if provider._shutdown:
            continue
        for observable in tuple(provider._measurement_consumer._async_instruments):
            yield from observable.callback(CallbackOptions())


def why_no_metrics() -> Iterator[str]:
    """What of the global meter provider keeps measurements from coming."""
    return off(get_meter_provider(), MeterProvider, _internal._ProxyMeterProvider, "meter", "meter provider")


class StandInMeterProvider(_internal._ProxyMeterProvider):
    """The proxy while a test records."""


def replace_metric_proxies(patches: Patches) -> None:
    """Let proxy instruments that can be written to fall back to a working provider for as long as none is set."""
    meter = stand_in(MeterProvider).get_meter("weaver_ai.testing")

    def wrap(original: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(original)
        def measure(self: Any, amount: float, attributes: Any = None, context: Any = None) -> None:
            if self._real_instrument is not None:
                original(self, amount, attributes, context)
                return
            if "_weaver_stand_in" not in vars(self):
                self._weaver_stand_in = self._create_real_instrument(meter)
            getattr(self._weaver_stand_in, original.__name__)(amount, attributes, context)

        return measure

    for kind, method in (
        (instrument._ProxyCounter, "add"),
        (instrument._ProxyUpDownCounter, "add"),
        (instrument._ProxyHistogram, "record"),
        (instrument._ProxyGauge, "set"),
    ):
        patches.replace(kind, method, wrap)
    patches.replace_class(_internal._PROXY_METER_PROVIDER, StandInMeterProvider)
