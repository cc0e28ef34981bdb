"""The client: what it sends, what it reads, what it refuses, and what it never shows."""

from __future__ import annotations

import gzip
import ssl
import traceback
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import attrs
import httpcore
import pytest
import trio
from call_probe import ADDRESS, client
from fault_script import Answer, Content, End, Kind
from memory_network import MemoryNetwork, memory_network

from understudy.providers.http import Client
from understudy.providers.network import CLOSING, Network
from understudy.providers.wire import WireRequest
from understudy.testing import run_seeded
from understudy_protocols.errors import ConfigError, SetupError
from understudy_protocols.failures import Cause, ModelError

ASK = WireRequest("/v1/ask?version=1", {"content-type": "x"}, b'{"number": 0}')
SECRET = "sk-planted-4711"


def with_network(
    answer: Answer, test: Callable[[MemoryNetwork], Awaitable[None]]
) -> None:
    async def main() -> None:
        async with memory_network(lambda seen: answer) as network:
            await test(network)

    run_seeded(main, seed=0)


async def body_of(to: Client, headers: dict[str, str] | None = None) -> bytes:
    async with to.stream(ASK, headers or {}) as answer:
        return await answer.read()


# --- what it sends


def test_a_request_is_what_http_says_that_it_should_be() -> None:
    async def main(network: MemoryNetwork) -> None:
        async with client(network, address=f"{ADDRESS}/base/") as to:
            await body_of(to, {"authorization": "Bearer abc"})
        (seen,) = network.server.seen
        first, *headers = seen.head.decode().split("\r\n")
        assert first == "POST /base/v1/ask?version=1 HTTP/1.1"
        assert set(headers) == {
            "host: 127.0.0.1:9",
            "accept-encoding: gzip",
            "user-agent: understudy",
            "content-length: 13",
            "content-type: x",
            "authorization: Bearer abc",
        }
        assert seen.body == ASK.body

    with_network(Answer(), main)


def test_the_cookies_of_one_key_are_not_sent_with_the_next() -> None:
    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            for _ in range(2):
                await body_of(to)
        assert not any(b"cookie" in seen.head for seen in network.server.seen)

    with_network(Answer(headers=(("set-cookie", "tracked=yes; path=/"),)), main)


def test_a_redirect_is_not_followed() -> None:
    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to, to.stream(ASK, {}) as answer:
            assert answer.status == 307
        assert len(network.server.seen) == 1

    with_network(Answer(status=307, headers=(("location", "/elsewhere"),)), main)


@pytest.mark.parametrize(
    "key", [f"{SECRET}\n", f"{SECRET}\r\nevil: yes", f"{SECRET}\u00fc", f"{SECRET}\x00"]
)
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(key: str) -> None:
    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            with pytest.raises(ModelError) as caught:
                await body_of(to, {"authorization": key})
        error = caught.value
        shown = "".join(traceback.format_exception(error)) + repr(error)
        assert SECRET not in shown
        assert error.cause is Cause.BAD_REQUEST
        assert error.usage is not None
        assert error.usage.calls == 0
        assert network.server.seen == []
        assert network.streams == set()

    with_network(Answer(), main)


# --- what it reads


def test_headers_go_by_lower_case_names_and_come_together() -> None:
    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to, to.stream(ASK, {}) as answer:
            assert answer.headers["x-many"] == "one, two"
            assert answer.headers["x-word"] == "gr\u00fcn"

    given = (("X-Many", "one"), ("x-many", "two"), ("X-WORD", "gr\u00fcn"))
    answer = Answer(headers=given)
    # HTTP's own encoding of headers is the one of these bytes.
    head, body = answer.wire.decode().encode("latin-1"), b""
    with_network(Answer(garbage=head + body), main)


def test_an_informational_answer_is_not_the_answer() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"

    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            assert b"hello" in await body_of(to)

    with_network(Answer(garbage=early + Answer().wire), main)


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_a_compressed_body_is_read_as_it_comes(piece: int) -> None:
    plain = b"x" * 5000 + b"y"
    packed = gzip.compress(plain)
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-encoding: GZIP\r\ncontent-length: %d\r\n\r\n"
        % len(packed)
    )

    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            assert await body_of(to) == plain

    with_network(Answer(garbage=head + packed, piece=piece, gap=0.001), main)


@pytest.mark.parametrize(
    ("coding", "body", "why"),
    [
        ("gzip", b"no gzip at all", "incorrect header"),
        ("gzip", gzip.compress(b"x" * 1000)[:-8], "ends too early"),
        ("br", b"\x0b\x02\x80hello\x03", "'br', unasked for"),
        ("gzip", gzip.compress(b"\0" * 10_000_000), "has over 1,000,000 bytes"),
    ],
    ids=["broken", "cut", "unknown", "bomb"],
)
def test_a_body_that_cannot_be_decoded_is_malformed(
    coding: str, body: bytes, why: str
) -> None:
    head = "HTTP/1.1 200 OK\r\ncontent-encoding: %s\r\ncontent-length: %d\r\n\r\n"

    async def main(network: MemoryNetwork) -> None:
        async with client(network, max_body=1_000_000) as to:
            with pytest.raises(ModelError, match=why) as caught:
                await body_of(to)
            assert caught.value.cause is Cause.MALFORMED

    with_network(Answer(garbage=(head % (coding, len(body))).encode() + body), main)


def test_a_body_larger_than_any_answer_is_not_read_to_its_end() -> None:
    async def main(network: MemoryNetwork) -> None:
        async with client(network, max_body=100_000) as to:
            with pytest.raises(ModelError, match="over 100,000 bytes") as caught:
                await body_of(to)
            assert caught.value.cause is Cause.MALFORMED
            assert network.streams == set()

    with_network(Answer(endless=True, declared=10**9), main)


def test_of_a_failure_with_endless_words_some_are_read() -> None:
    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            async with to.stream(ASK, {}) as answer:
                assert len(await answer.read_error()) == 256 * 1024
            assert network.streams == set()

    with_network(Answer(status=500, endless=True, declared=10**9), main)


def test_of_a_failure_with_slow_words_what_comes_in_good_time_is_read() -> None:
    answer = Answer(status=500, content=Content(Kind.ERROR), piece=60, gap=4.0)

    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to, to.stream(ASK, {}) as seen:
            words = await seen.read_error()
        assert b'{"error": "no"}'.startswith(words)
        assert trio.current_time() < 10

    with_network(answer, main)


def test_a_failure_that_is_known_is_no_missing_answer() -> None:
    """The time of the request ends while the words of a status are awaited."""
    whole = Answer(status=401, content=Content(Kind.ERROR))
    answer = attrs.evolve(whole, cut=len(whole.wire) - 3, end=End.STALL)

    async def main(network: MemoryNetwork) -> None:
        with trio.fail_after(2):
            async with client(network) as to, to.stream(ASK, {}) as seen:
                assert seen.status == 401
                assert await seen.read_error()
        assert trio.current_time() == pytest.approx(1)

    with_network(answer, main)


# --- what it refuses


@pytest.mark.parametrize(
    "address",
    [
        "",
        "api.example.com",
        "ftp://a",
        "http://",
        "http://a:port",
        "https://a/v1?key=1",
        "https://a/#x",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="is no address"):
        Client(address)


def test_an_address_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError, match="leave it out") as caught:
        Client(f"https://me:{SECRET}@api.example.com/v1")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_client_that_is_not_open_sends_nothing() -> None:
    async def main(network: MemoryNetwork) -> None:
        with pytest.raises(SetupError, match="is not open"):
            await body_of(client(network))

    with_network(Answer(), main)


def test_what_made_a_connection_fail_is_said() -> None:
    async def main() -> None:
        async with client(None, address="http://127.0.0.1:1") as to:
            with pytest.raises(ModelError, match="no connection") as caught:
                await body_of(to)
            assert "ConnectionRefusedError" in str(caught.value)
            assert caught.value.cause is Cause.TRANSPORT
            assert caught.value.usage is not None
            assert caught.value.usage.calls == 0

    trio.run(main)


@pytest.mark.parametrize(
    ("cut", "said"), [(-3, "the answer broke off"), (0, "there was no answer")]
)
def test_whether_an_answer_had_begun_is_said(cut: int, said: str) -> None:
    size = len(Answer().wire)

    async def main(network: MemoryNetwork) -> None:
        async with client(network) as to:
            with pytest.raises(ModelError, match=said):
                await body_of(to)

    with_network(Answer(cut=(size + cut) % size, end=End.RESET), main)


# --- proxies, and the network below


class Unreachable(httpcore.AsyncNetworkBackend):
    """A network where nobody is.

    Attributes:
      asked: where connections were to lead.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        await trio.lowlevel.checkpoint()
        self.asked.append((host, port))
        raise httpcore.ConnectError("refused")


def environment(patch: pytest.MonkeyPatch, **names: str) -> None:
    """Let the environment name these proxies, and no others."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        patch.delenv(name, raising=False)
        patch.delenv(name.upper(), raising=False)
    for name, value in names.items():
        patch.setenv(name, value)


def leads_to(address: str) -> list[tuple[str, int]]:
    """Return where the connections to *address* would lead."""
    network = Unreachable()

    async def main() -> None:
        async with client(network, address=address) as to:
            with pytest.raises(ModelError, match="no connection"):
                await body_of(to)

    run_seeded(main, seed=0)
    return network.asked


@pytest.mark.parametrize(
    ("address", "through"),
    [
        ("https://api.example/v1", ("proxy.example", 3128)),
        ("https://inside.example/v1", ("inside.example", 443)),
        ("https://other.example:8443/v1", ("other.example", 8443)),
        ("https://other.example/v1", ("proxy.example", 3128)),
        ("https://127.0.0.1:8443/v1", ("127.0.0.1", 8443)),
        ("https://[::1]:8443/v1", ("::1", 8443)),
        ("http://api.example:81", ("api.example", 81)),
        ("http://[fe80::1]:81", ("fe80::1", 81)),
    ],
)
def test_the_proxy_of_the_environment_is_used_but_not_for_this_machine(
    address: str, through: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(
        monkeypatch,
        https_proxy="http://me:pass@proxy.example:3128",
        no_proxy="inside.example,other.example:8443",
    )
    assert leads_to(address) == [through]


def test_a_proxy_may_be_named_without_a_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    environment(monkeypatch, https_proxy="10.0.0.1:3128")
    assert leads_to("https://api.example/v1") == [("10.0.0.1", 3128)]


def test_a_connection_to_a_proxy_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    environment(monkeypatch, http_proxy="http://me:pass@proxy.example:3128")

    async def main(network: MemoryNetwork) -> None:
        async with client(network, address="http://api.example") as to:
            for _ in range(2):
                assert b"hello" in await body_of(to)
        first, second = network.server.seen
        assert (first.connection, second.connection) == (1, 1)
        assert first.head.startswith(b"POST http://api.example/v1/ask?version=1 HTTP")

    with_network(Answer(), main)


def test_a_proxy_that_refuses_is_named_and_nothing_was_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment(monkeypatch, https_proxy="http://me:pass@proxy.example:3128")

    async def main(network: MemoryNetwork) -> None:
        async with client(network, address="https://api.example") as to:
            with pytest.raises(ModelError, match=r"no connection .*407") as caught:
                await body_of(to)
            assert caught.value.usage is not None
            assert caught.value.usage.calls == 0
            assert to._pool is not None
            assert to._pool.connections == []
        assert network.streams == set()

    refusal = b"HTTP/1.1 407 Who are you?\r\ncontent-length: 0\r\n\r\n"
    with_network(Answer(garbage=refusal), main)


@pytest.mark.parametrize(
    "proxy", [f"ftp://me:{SECRET}@a", f"socks5://me:{SECRET}@a", f"http://{SECRET}:x"]
)
def test_what_is_no_proxy_is_refused_by_name_when_the_client_is_opened(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(monkeypatch, all_proxy=proxy)

    async def main() -> None:
        to = client(Unreachable(), address="https://api.example/v1")
        with pytest.raises(ConfigError, match=r"for api\.example .*proxy") as caught:
            async with to:
                raise AssertionError("it opened")
        assert SECRET not in "".join(traceback.format_exception(caught.value))
        # What has not been opened is not held open.
        environment(monkeypatch)
        async with to:
            pass
        assert to._pool is None

    run_seeded(main, seed=0)


def test_a_certificate_that_is_not_trusted_is_named() -> None:
    class Untrusted(Unreachable):
        async def connect_tcp(self, *args: Any, **more: Any) -> Any:
            await trio.lowlevel.checkpoint()
            try:
                try:
                    raise ssl.SSLCertVerificationError("self-signed certificate")
                except ssl.SSLError as error:
                    raise trio.BrokenResourceError from error
            except trio.BrokenResourceError as error:
                raise httpcore.ConnectError from error

    async def main() -> None:
        async with client(Untrusted(), address="https://127.0.0.1") as to:
            with pytest.raises(ModelError, match="self-signed certificate"):
                await body_of(to)

    run_seeded(main, seed=0)


class Polite(httpcore.AsyncNetworkStream):
    """A connection that cannot say good-bye, nor begin with TLS."""

    def __init__(self) -> None:
        self.closed = False

    async def aclose(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self.closed = True

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        await trio.sleep_forever()
        raise AssertionError("it was cancelled")


class Stuck(Unreachable):
    """A network of such connections."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[Polite] = []

    async def connect_tcp(self, *args: Any, **more: Any) -> httpcore.AsyncNetworkStream:
        await trio.lowlevel.checkpoint()
        self.made.append(Polite())
        return self.made[-1]


def test_a_peer_that_takes_nothing_cannot_hold_up_the_closing() -> None:
    async def main() -> None:
        stream = await Network(Stuck()).connect_tcp("a", 1)
        with trio.CancelScope(shield=True):
            await stream.aclose()
        assert trio.current_time() == pytest.approx(CLOSING)

    run_seeded(main, seed=0)


def test_a_connection_cut_while_it_makes_itself_secure_is_closed() -> None:
    stuck = Stuck()

    async def main() -> None:
        async with client(stuck, address="https://127.0.0.1") as to:
            with trio.move_on_after(1):
                await body_of(to)
            assert [stream.closed for stream in stuck.made] == [True]
            assert to._pool is not None
            assert to._pool.connections == []
            assert trio.current_time() < 1.1

    run_seeded(main, seed=0)
