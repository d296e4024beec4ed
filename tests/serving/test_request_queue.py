import threading

import pytest

from keras_fpn.serving.request_error import RequestError
from keras_fpn.serving.request_queue import Limits, RequestQueue


@pytest.fixture
def blocked():
    """A queue of four places, both of whose threads wait; and what lets them go on."""
    queue, go = RequestQueue(Limits(requests=4)), threading.Event()
    futures = []
    for _ in range(2):
        with queue.place() as place:
            futures.append(place.run(go.wait))
    yield queue, go, futures
    go.set()
    queue.stop()


def test_a_request_has_its_result_or_its_error():
    queue = RequestQueue(Limits(requests=1))
    with queue.place() as place:
        assert place.run(divmod, 7, 2).result(9) == (3, 1)
    with queue.place() as place, pytest.raises(ZeroDivisionError):
        place.run(divmod, 7, 0).result(9)
    queue.stop()


def test_a_place_is_taken_until_the_request_has_run(blocked):
    queue, go, futures = blocked
    with queue.place(), queue.place(), pytest.raises(RequestError) as refused:
        queue.place().__enter__()
    assert refused.value.status == "UNAVAILABLE"
    assert "has 4 requests already" in str(refused.value)
    with queue.place(), queue.place():  # those that did not run left
        pass
    go.set()
    for future in futures:
        future.result(9)
    with queue.place(), queue.place(), queue.place(), queue.place():
        pass


def test_what_waits_too_long_does_not_run():
    queue, go, ran = (
        RequestQueue(Limits(requests=3, seconds=0.05)),
        threading.Event(),
        [],
    )
    for _ in range(2):
        with queue.place() as place:
            place.run(go.wait)
    with queue.place() as place:
        late = place.run(ran.append, 1)
        with pytest.raises(TimeoutError):
            late.result(place.seconds_left())
    assert place.seconds_left() == 0
    go.set()
    with pytest.raises(RequestError, match=r"longer than 0\.05 s"):
        late.result(9)
    assert ran == []
    queue.stop()


def test_stopping_drops_what_waits(blocked):
    queue, go, futures = blocked
    with queue.place() as place:
        waiting = place.run(go.wait)
    queue.stop()
    assert waiting.cancelled()
    assert not any(future.done() for future in futures)


def test_long_messages_lose_their_middle():
    assert str(RequestError("INTERNAL", "a" * 1000)) == "a" * 1000
    shown = str(RequestError("INTERNAL", "a" * 2000 + "b"))
    assert len(shown) < 1010
    assert shown.startswith("aaa")
    assert shown.endswith("ab")
