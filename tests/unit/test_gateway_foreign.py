"""URLs of strangers: what is never asked, and what an answer may do."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web

from bench.stranger import Names, Stranger, giving
from comfy_capsule.packager.gateway import foreign as module
from comfy_capsule.packager.gateway.addresses import is_public, is_this_machine
from comfy_capsule.packager.gateway.foreign import Foreign
from comfy_capsule.packager.gateway.problems import Problem

HERE = ipaddress.ip_network("127.0.0.1/32")  # what the owner of these gateways allows; 127.0.0.2 is inside his network


def foreign(*strangers: Stranger, **more: Any) -> Foreign:
    ports = [each.port for each in strangers if each.port]
    return Foreign(**{"http": True, "ports": [*ports, 80, 443], "allow": [HERE], **more})


async def got(
    asker: Foreign, url: str, *, seconds: float = 5, limit: int = 1 << 20, types: tuple[str, ...] = ()
) -> Any:
    """(type, name, bytes), or the code of the problem."""
    try:
        async with asker.get(url, seconds=seconds, limit=limit, types=types) as answer:
            return answer.type, answer.name, b"".join([chunk async for chunk in answer.chunks])
    except Problem as problem:
        return problem.code
    finally:
        await asker.close()


NEVER = [
    "https://127.0.0.1/", "https://127.8.8.8/", "https://0.0.0.0/", "https://10.1.2.3/", "https://172.16.0.1/",
    "https://192.168.0.1/", "https://169.254.169.254/latest/meta-data", "https://100.64.0.1/", "https://224.0.0.1/",
    "https://255.255.255.255/", "https://192.0.2.1/", "https://198.18.0.1/", "https://240.0.0.1/",
    "https://2130706433/", "https://0x7f000001/", "https://0X7F.0.0.1/", "https://0177.0.0.1/", "https://127.1/",
    "https://0/", "https://017700000001/", "https://127.0.0.1./", "https://1.1.1.1./", "https://1.1.257/",
    "https://127.0.0.0x1/", "https://１２７.0.0.1/", "https://127。0。0。1/", "https://%31%32%37.0.0.1/",
    "https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/",
    "https://[::ffff:8.8.8.8]/", "https://[::127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[64:ff9b:1::1]/",
    "https://[2002:7f00:1::]/", "https://[2001:0:7f00:1::]/", "https://[fe80::1]/", "https://[fe80::1%25lo]/",
    "https://[fc00::1]/", "https://[fd00:ec2::254]/", "https://[ff02::1]/", "https://[2001:db8::1]/",
    "file:///etc/passwd", "FILE:///etc/passwd", "ftp://example.com/", "gopher://127.0.0.1:6379/_x", "data:,x",
    "http://example.com/", "//example.com/", "example.com", "", "https://", "https:///x", "https://[::1", "https://:443/",
    "https://user:word@example.com/", "https://user@example.com/", "https://@example.com/",
    "https://example.com\\@127.0.0.1/", "https://example.com/\r\nX-Odd: 1", "https://example.com/a b",
    "https://example.com\x00.evil/", "https://example.com:22/", "https://example.com:99999/", "https://example.com:x/",
    "https://exa$mple.com/", "https://-\u2028/", "https://example.com/" + "x" * 3000,
]  # fmt: skip


@pytest.mark.parametrize("url", NEVER)
async def test_what_is_written_so_is_refused_without_looking_anything_up(url: str) -> None:
    names = Names(example=["93.184.215.14"])
    assert await got(Foreign(resolver=names), url) == "url-refused"
    with pytest.raises(Problem) as refused:
        await Foreign(resolver=names).check(url, own_port=1)
    assert (refused.value.code, names.looked) == ("url-refused", 0)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost.", "nothing.invalid", "x" * 64 + ".invalid"])
async def test_names_of_this_machine_and_of_nothing_are_refused_in_the_same_words(host: str) -> None:
    with pytest.raises(Problem, match="has no public address") as refused:
        await Foreign().check(f"https://{host}/", own_port=1)
    assert refused.value.code == "url-refused"
    assert await got(Foreign(), f"https://{host}/") == "url-refused"


def test_public_addresses_are() -> None:
    for each in ("1.1.1.1", "8.8.8.8", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "2001:4860:4860::8888"):
        assert is_public(ipaddress.ip_address(each)), each
    assert is_this_machine(ipaddress.ip_address("127.0.0.1"))
    assert not is_this_machine(ipaddress.ip_address("192.0.2.1"))


async def test_this_machine_is_refused_by_its_public_address_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_public", lambda _: True)  # as if 127.0.0.1 were one
    async with Stranger(giving(b"x")) as stranger:
        assert await got(foreign(stranger, allow=()), stranger.url()) == "url-refused"
        assert stranger.asked == []


async def test_one_inner_address_among_public_ones_is_enough() -> None:
    names = Names(both=[["1.1.1.1", "10.0.0.1"]])
    assert await got(Foreign(resolver=names), "https://both.example/") == "url-refused"


async def test_a_name_that_changes_its_answer_changes_nothing() -> None:
    """What was looked up is what is connected to; the next look-up is looked at again."""
    async with Stranger(giving(b"outside")) as outside:
        async with Stranger(giving(b"inside"), host="127.0.0.2", port=outside.port) as inside:
            names = Names(rebound=["127.0.0.1", "127.0.0.2"])
            url = outside.url("/x", host="rebound.example")
            assert (await got(foreign(outside, resolver=names), url))[2] == b"outside"
            assert (names.looked, outside.asked[0].headers["host"]) == (1, f"rebound.example:{outside.port}")
            names = Names(rebound=["127.0.0.1", "127.0.0.2"])
            await foreign(outside, resolver=names).check(url, own_port=1)
            assert await got(foreign(outside, resolver=names), url) == "url-refused"
            assert inside.asked == []


async def test_a_name_server_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Names):
        async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
            await asyncio.sleep(9)

    monkeypatch.setattr(module, "_CONNECT", 0.05)
    with pytest.raises(Problem) as slow:
        await Foreign(resolver=Slow()).check("https://slow.example/", own_port=1)
    assert slow.value.code == "url-failed"
    assert await got(Foreign(resolver=Slow()), "https://slow.example/", seconds=0.05) == "url-failed"


@pytest.mark.parametrize(
    "to",
    ["http://127.0.0.2:{port}/secret", "http://inside.example:{port}/", "file:///etc/passwd", "http://127.1:{port}/"],
)
async def test_a_redirect_is_looked_at_like_the_url(to: str) -> None:
    async with Stranger(giving(b"secret"), host="127.0.0.2") as inside:
        headers = {"Location": to.format(port=inside.port)}
        async with Stranger(giving(b"", status=302, **headers)) as outside:
            names = Names(inside=["127.0.0.2"])
            assert await got(foreign(outside, inside, resolver=names), outside.url()) == "url-refused"
            assert (len(outside.asked), inside.asked) == (1, [])


async def test_a_few_redirects_are_followed() -> None:
    async def answer(request: web.Request) -> web.Response:
        left = int(request.query.get("left", "0"))
        if left:
            return web.Response(status=307, headers={"Location": f"?left={left - 1}"})
        return web.Response(body=b"there", content_type="text/plain")

    async with Stranger(answer) as stranger:
        assert (await got(foreign(stranger), stranger.url("/a.txt?left=4")))[1:] == ("a.txt", b"there")
        assert await got(foreign(stranger), stranger.url("/a.txt?left=5")) == "url-failed"
        assert len(stranger.asked) == 10


async def _drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "image/png"})
    await response.prepare(request)
    for _ in range(200):
        await response.write(b"x")
        await asyncio.sleep(0.02)
    return response


async def _silence(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3)
    return web.Response()


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "image/png"})
    await response.prepare(request)
    for _ in range(10_000):
        await response.write(b"x" * 1000)
    return response


@pytest.mark.parametrize(
    "answer",
    [
        giving(b"x" * 5000), _endless, _drip, _silence, giving(b"<html>", "text/html"), giving(b"", status=404),
        giving(b"", status=304), giving(b"", status=302), giving(b"", status=302, Location="http://[::1"),
        giving(gzip.compress(b"x" * 1_000_000), **{"Content-Encoding": "gzip"}),
        giving(b"x", **{"X-Long": "y" * 20_000}),
    ],
)  # fmt: skip
async def test_an_answer_that_is_not_what_was_asked_for_is_no_file(answer: Any) -> None:
    async with Stranger(answer) as stranger:
        began = time.monotonic()
        asked = foreign(stranger)
        code = await got(asked, stranger.url("/p.png"), seconds=0.3, limit=4096, types=("image/",))
        assert code in ("url-failed", "url-refused")
        assert time.monotonic() - began < 2


async def test_nobody_listening_is_said() -> None:
    async with Stranger(giving(b"")) as stranger:
        url, asked = stranger.url(), foreign(stranger)
    assert await got(asked, url) == "url-failed"


async def test_nothing_is_told_of_who_asks_and_nothing_is_remembered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine cookie.example login ann password word\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with Stranger(giving(b"x", **{"Set-Cookie": "a=b"})) as stranger:
        asker = foreign(stranger, resolver=Names(cookie=["127.0.0.1"]))
        for _ in range(2):
            async with asker.get(stranger.url(host="cookie.example"), seconds=5, limit=10) as answer:
                assert [chunk async for chunk in answer.chunks] == [b"x"]
        await asker.close()
        assert [set(each.headers) for each in stranger.asked] == [
            {"host", "user-agent", "accept", "accept-encoding", "connection"}
        ] * 2
        assert stranger.asked[0].headers["accept-encoding"] == "identity"


async def test_only_the_hosts_that_the_owner_lists() -> None:
    async with Stranger(giving(b"x")) as stranger:
        names = Names(cdn=["127.0.0.1"], example=["127.0.0.1"], evil=["127.0.0.1"])
        listed: dict[str, Any] = {"hosts": ["example.com", "*.example.com"], "resolver": names}
        for host in ("example.com", "cdn.example.com", "CDN.Example.com"):
            assert (await got(foreign(stranger, **listed), stranger.url(host=host)))[2] == b"x"
        for host in ("evil.com", "evilexample.com", "example.com.evil.com", "127.0.0.1"):
            assert await got(foreign(stranger, **listed), stranger.url(host=host)) == "url-refused"


async def test_a_signed_url_is_asked_as_it_was_written() -> None:
    async with Stranger(giving(b"x")) as stranger:
        path = "/a%2Fb/%41.png?sig=a%2Bb%2F%3D&x=%7e"
        await got(foreign(stranger), stranger.url(path + "#part"))
        assert stranger.asked[0].path == path


async def test_the_certificate_must_be_of_the_name_though_the_address_is_pinned(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("files.example").configure_cert(server)
    authority.configure_trust(client)
    async with Stranger(giving(b"sealed"), tls=server) as stranger:
        names = Names(files=["127.0.0.1"], other=["127.0.0.1"])
        more: dict[str, Any] = {"resolver": names, "http": False}
        url = stranger.url("/p.png", host="files.example")
        assert (await got(foreign(stranger, tls=client, **more), url))[2] == b"sealed"
        assert await got(foreign(stranger, **more), url) == "url-failed"  # nobody trusts this authority
        other = stranger.url("/p.png", host="other.example")
        assert await got(foreign(stranger, tls=client, **more), other) == "url-failed"
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert (await got(foreign(stranger, **more), url))[2] == b"sealed"
