"""Who may use the routes: this machine's own pages, and others only where the owner says so."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from multidict import CIMultiDict

from comfy_capsule.server_routes.guard import Policy, Refused, check, current_policy

HERE = {"Host": "127.0.0.1:8188"}
PAGE = {**HERE, "Origin": "http://127.0.0.1:8188", "X-Comfy-Capsule": "1"}
JSON = "application/json"
NOTHING_SET = Policy()


def refusal(headers: dict[str, str], *, method="GET", content_type=JSON, access="read", policy=NOTHING_SET) -> str:
    """The code of the refusal, or "" when the request passes."""
    try:
        check(CIMultiDict(headers), method, content_type, access, policy)
    except Refused as error:
        return error.code
    return ""


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8188", "localhost:8188", "localhost", "[::1]:8188", "127.9.9.9", "LOCALHOST:1"]
)
def test_loopback_names_pass(host: str) -> None:
    assert refusal({"Host": host, "Origin": f"http://{host}"}) == ""


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8188",
        "192.168.1.5:8188",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "0.0.0.0:8188",
        "",
        "[::1",
    ],
)
def test_any_other_host_is_refused_though_origin_equals_it(host: str) -> None:
    assert refusal({"Host": host, "Origin": f"http://{host}"}) == "foreign-host"


def test_a_configured_host_passes() -> None:
    policy = current_policy({"COMFY_CAPSULE_HOSTS": "studio.lan, other.lan"})
    assert refusal({"Host": "Studio.lan:8188"}, policy=policy) == ""
    assert refusal({"Host": "third.lan"}, policy=policy) == "foreign-host"


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:9999", "null", ""])
def test_another_sites_page_is_refused(origin: str) -> None:
    assert refusal({**HERE, "Origin": origin}) == "foreign-origin"


def test_a_post_needs_json_and_our_header() -> None:
    assert refusal(PAGE, method="POST") == ""
    assert refusal({**HERE, "Origin": PAGE["Origin"]}, method="POST") == "not-our-page"
    assert refusal(PAGE, method="POST", content_type="text/plain") == "not-our-page"


@pytest.mark.parametrize("header", ["X-Forwarded-For", "forwarded", "X-Forwarded-Host", "X-Real-IP"])
def test_a_proxied_request_is_refused_until_the_owner_allows_it(header: str) -> None:
    headers = {**PAGE, header: "10.0.0.7"}
    assert refusal(headers) == "not-allowed"
    assert refusal(headers, policy=current_policy({"COMFY_CAPSULE_ALLOW": "read"})) == ""


def test_listening_beyond_loopback_turns_each_class_off_until_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    args = SimpleNamespace(listen="127.0.0.1,0.0.0.0")
    monkeypatch.setitem(sys.modules, "comfy.cli_args", SimpleNamespace(args=args))
    assert refusal(PAGE, policy=current_policy({})) == "not-allowed"
    reading = current_policy({"COMFY_CAPSULE_ALLOW": "read"})
    assert refusal(PAGE, policy=reading) == ""
    assert refusal(PAGE, access="export", policy=reading) == "not-allowed"
    exporting = current_policy({"COMFY_CAPSULE_ALLOW": "export"})  # what one may export, one may read
    assert refusal(PAGE, access="export", policy=exporting) == refusal(PAGE, policy=exporting) == ""
    args.listen = "127.0.0.1,::1"
    assert refusal(PAGE, access="export", policy=current_policy({})) == ""
