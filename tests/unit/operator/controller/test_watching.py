"""How kopf is used: it listens, and writes nothing."""

import kopf

from outrider_operator.controller import watching
from outrider_operator.kube.credentials import Credentials


def test_the_settings_of_a_controller_that_only_listens() -> None:
    """No scanning of CRDs and namespaces, chunked lists, short-lived workers, bounded requests, no Events of kopf's."""
    made = watching.settings()
    assert made.scanning.disabled
    assert made.watching.chunk_size == 500
    assert made.queueing.idle_timeout == 0.2
    assert (
        made.queueing.worker_limit is None
    )  # with a limit, new objects are throttled to limit / idle_timeout a second
    assert (made.networking.request_timeout, made.networking.connect_timeout) == (30, 5)
    assert not made.posting.enabled
    assert made.process.ultimate_exiting_timeout == 30


def test_there_are_no_handlers_that_write_to_objects() -> None:
    """Only on.event: change-detecting handlers, timers and daemons put annotations and finalizers on every object."""
    made = watching.registry(Credentials("https://nowhere"), lambda *_: None)
    assert len(made._watching.get_all_handlers()) == 2
    assert not made._changing.get_all_handlers()
    assert not made._spawning.get_all_handlers()
    assert not made._indexing.get_all_handlers()
    assert not made._webhooks.get_all_handlers()


async def test_kopf_logs_in_with_our_own_credentials() -> None:
    """The same server and proof as our client, token read anew."""
    made = watching.registry(Credentials("https://server:1", ca="PEM", token="t"), lambda *_: None)
    (handler,) = made._activities.get_all_handlers()
    info = await handler.fn()  # type: ignore[call-arg, misc]
    assert isinstance(info, kopf.ConnectionInfo)
    assert (info.server, info.ca_data, info.token) == ("https://server:1", "PEM", "t")
