"""What is a secret and what is none: by shape in any text, by name in a widget, by name and content of a file."""

from __future__ import annotations

import base64
import hashlib
import random
import time

import pytest

from comfy_capsule.packager.secrets import Vault, clean_arguments, collect_named, has_token, is_secret_file
from comfy_capsule.packager.secrets.shapes import find_tokens

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
HEX = "0123456789abcdef"
_RANDOM = random.Random(1)


def some(count: int, alphabet: str = LETTERS) -> str:
    """A random text with at least one letter, one capital where there are any, and one digit."""
    return "a" + "".join(_RANDOM.choice(alphabet) for _ in range(count - 2)) + "7"


#: Written in pieces, so that no scanner takes this file for a leak.
HF = "hf" + "_" + some(34)
GH = "ghp" + "_" + some(36)
JWT = f"eyJ{some(30)}.eyJ{some(60)}.{some(43)}"
PEM = "-----BEGIN " + "PRIVATE KEY-----\n" + some(64) + "\n" + some(64) + "\n-----END " + "PRIVATE KEY-----"
UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
AKIA = "AKIA" + "".join(_RANDOM.choice(UPPER) for _ in range(15)) + "7"

BY_SHAPE = {
    "hugging face": HF,
    "hugging face organisation": "api_org" + "_" + some(34),
    "openai": "sk" + "-" + some(48),
    "openai project": "sk-" + "proj-" + some(60) + "-" + some(20) + "_" + some(20),
    "anthropic": "sk-" + "ant-api03-" + some(90),
    "openrouter": "sk-" + "or-v1-" + some(64, HEX),
    "github": GH,
    "github oauth": "gho" + "_" + some(36),
    "github fine grained": "github" + "_pat_" + some(82),
    "gitlab": "glpat" + "-" + some(20),
    "aws": AKIA,
    "google": "AIza" + some(35),
    "slack": "xoxb" + "-" + "123456789012-" + some(24),
    "replicate": "r8" + "_" + some(37),
    "comfy": "comfyui" + "-" + some(64, HEX),
    "groq": "gsk" + "_" + some(52),
    "xai": "xai" + "-" + some(80),
    "npm": "npm" + "_" + some(36),
    "pypi": "pypi" + "-AgEIcHlwaS" + some(80),
    "sendgrid": "SG." + some(22) + "." + some(43),
    "stripe": "sk" + "_live_" + some(24),
    "fal": "a0b1c2d3-e4f5-4a6b-8c7d-9e0f1a2b3c4d:" + some(32, HEX),
    "jwt": JWT,
    "pem": PEM,
    "pem rsa": PEM.replace("PRIVATE KEY", "RSA PRIVATE KEY"),
    "runpod": "rpa" + "_" + "".join(_RANDOM.choice(UPPER) for _ in range(43)),
}
#: A text, and the part of it that is the secret.
IN_TEXT = [
    (f"log in with {HF}.", HF),
    (f"HF_TOKEN={HF}", HF),
    (f"'{GH}'", GH),
    ("https://me:hush-hush@host/x.git", "me:hush-hush"),
    (f"https://{GH}@github.com/a/b", GH),
    ("ssh://git:hushhush@host/x.git", "git:hushhush"),
    ("https://host/models/1?type=Model&token=0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef"),
    ("https://host/x?access_token=abcdef12", "abcdef12"),
    ("https://host/x?api_key=abc123abc123&y=1", "abc123abc123"),
    ("https://host/x?key=Abcdefgh12345678ijkl", "Abcdefgh12345678ijkl"),
    ("https://b.blob/x?sv=1&sig=Ab%2Fcdefgh12345678ijkl%3D", "Ab%2Fcdefgh12345678ijkl%3D"),
    ("https://b.s3/x?X-Amz-Date=1&X-Amz-Signature=" + "0a" * 32, "0a" * 32),
    ("https://hooks.slack.com/services/T01234567/B01234567/abcdefghijklmnopqrstuvwx", "T01234567/B01234567/abcdefgh"),
    ("curl -H 'Authorization: Bearer abcdefgh12345678ijklmnop'", "abcdefgh12345678ijklmnop"),
    ('{"Authorization": "Basic dXNlcjpwYXNzd29yZDEyMw=="}', "dXNlcjpwYXNzd29yZDEyMw=="),
    ("CIVITAI_API_KEY: 0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef"),
    ("my api_key = abcdef0123456789abcdef", "abcdef0123456789abcdef"),
    (f"a note\n{PEM}\nkeep it", PEM),
]


@pytest.mark.parametrize("secret", BY_SHAPE.values(), ids=BY_SHAPE.keys())
def test_a_secret_is_known_by_its_shape(secret: str) -> None:
    vault = Vault()
    for text in (secret, f"see {secret} here", f'"{secret}"', f"\n{secret}\n"):
        hidden = vault.hide(text, "a note")
        assert secret not in hidden
        assert hidden.count("${secret:") == 1
    assert len(vault.places) == 1


@pytest.mark.parametrize(("text", "secret"), IN_TEXT)
def test_a_secret_is_known_inside_a_text(text: str, secret: str) -> None:
    hidden = Vault().hide(text, "a note")
    assert secret not in hidden
    assert "${secret:" in hidden
    around = text[: text.index(secret)]
    assert hidden.startswith(around)


_PICTURE = base64.b64encode(_RANDOM.randbytes(30_000)).decode()
NO_SECRETS = [
    "a photo of a cat, masterpiece, best quality, (token:1.2), <lora:add_detail:0.8>",
    "secret garden with a key, password written on the wall",
    "The secret: never give up, keep going",
    "a bearer of bad news walks through the authorization office",
    "sk-learn-based-classifier-model-for-everyone-v2",
    "task-0123456789 desk-lamp risk-free",
    "hf_models/flux/ae.safetensors",
    "ghp_short",
    "sd_xl_base_1.0.safetensors",
    "e6bb9ea85bbf7bf6478a7c6d18b71246f22e95d41bcdd80ed40aa212c33cfeff",
    "sha256:e6bb9ea85bbf7bf6478a7c6d18b71246f22e95d41bcdd80ed40aa212c33cfeff",
    "a0b1c2d3-e4f5-4a6b-8c7d-9e0f1a2b3c4d",
    "0123456789abcdef0123456789abcdef01234567",
    "1125899906842624",
    f"data:image/png;base64,{_PICTURE}",
    _PICTURE,
    base64.urlsafe_b64encode(_RANDOM.randbytes(9_000)).decode(),
    "https://huggingface.co/Comfy-Org/flux/resolve/main/ae.safetensors?download=true",
    "https://civitai.com/api/download/models/128713?type=Model&format=SafeTensor&size=pruned&fp=fp16",
    "https://example.com/a?key=name&sort=asc&page=2",
    "https://example.com/watch?v=dQw4w9WgXcQ&list=PL0123456789&index=3",
    "https://example.com/@user/post",
    "https://example.com/a@b.png",
    "mail me@example.com, or git@github.com:me/x.git",
    "ssh://git@example.com:2222/x.git",
    "https://<user>:<password>@host/x",
    "https://host/x?token=<your-token>",
    "https://host/x?api_key=YOUR_API_KEY",
    "${secret:HF_TOKEN}",
    "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "hf_...",
    "api_key=$OPENAI_API_KEY",
    "api_key = os.environ['OPENAI_API_KEY_OF_MINE_2']",
    "max_tokens: 4096, token_count = 1234567890123456",
    "trigger_token: ohwx_person_in_2024_style",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    "eyJhbGciOiJIUzI1NiJ9",
    "import torch\nfrom secrets import token_hex\nkey = dict(secret=False)",
    "The quick brown fox. " * 200,
    "loras\\style\\xoxo-kisses-v2.safetensors",
    "AKIABLE and AIzawa",
    "rgthree.com/link?x=1;y=2",
    "12:3.model_name",
    "Hunyuan3D-2.1_vae_fp16_e4m3fn_scaled_AbCdEf123456789.safetensors",
]


@pytest.mark.parametrize("text", NO_SECRETS, ids=lambda text: text[:30])
def test_what_is_no_secret_stays(text: str) -> None:
    vault = Vault()
    assert vault.hide(text, "a note") == text
    assert not vault.holds(text)
    assert not vault.places


SECRET_WIDGETS = [
    ("api_key", "hunter2hunter2"), ("apiKey", "abcd1234"), ("API-Key", "abcd1234"), ("openai_api_key", "abcd1234"),
    ("apikey", "abcd1234"), ("token", "abcd1234"), ("hf_token", "abcd1234"), ("access_token", "Bearer abcd1234"),
    ("auth_token_comfy_org", "abcd1234"), ("api_key_2", "abcd1234"), ("password", "hunter"),
    ("password", "correct horse battery staple"), ("db_password", "hunter2"), ("client_secret", "abcd-efgh"),
    ("Authorization", "Basic abcd1234"), ("secret", "hunter2hunter2"), ("secret_access_key", "abcd/1234+"),
    ("private_key", "-----BEGIN X\nabc"), ("credentials", "abcd1234"), ("passphrase", "open sesame"),
    ("subscription_key", "0123456789abcdef0123456789abcdef"), ("HFToken", "abcd1234"),
    ("civitai_token", "0123456789abcdef0123456789abcdef"), ("api_key", "a0b1c2d3-e4f5-4a6b-8c7d-9e0f1a2b3c4d"),
]  # fmt: skip
PLAIN_WIDGETS = [
    ("api_key", ""), ("api_key", "YOUR_API_KEY"), ("api_key", "your-key-here"), ("api_key", "<insert key>"),
    ("api_key", "none"), ("api_key", "xxxxxxxxxxxx"), ("api_key", "$OPENAI_API_KEY"), ("api_key", "sk-..."),
    ("api_key", "${secret:API_KEY}"), ("api_key", "paste your key"), ("api_key", "enter api key here"),
    ("password", "******"), ("password", ""), ("token", "normal"), ("token", "mean"), ("hf_token", "token"),
    ("token_normalization", "length+mean2"), ("max_tokens", "abcd1234"), ("trigger_token", "ohwx1234"),
    ("placeholder_token", "<cat-toy-1>"), ("stop_token", "end_of_turn1"), ("eos_token", "im_end_1234"),
    ("key", "abcd12345678"), ("seed", "abcd12345678"), ("text", "hunter2hunter2"), ("prompt", "hunter2hunter2"),
    ("api_key_file", "/home/me/k1.txt"), ("api_key_env", "OPENAI_API_KEY1"), ("password_hint", "first pet 1"),
    ("ckpt_name", "abcd1234.safetensors"), ("keyframes", "0:abcd1234"), ("monkey", "abcd1234"),
    ("tokenizer", "t5xxl_fp16_1"), ("secretary", "abcd1234"), ("authors", "abcd1234"), ("keyword", "abcd1234"),
    ("filename_prefix", "ComfyUI_12345"), ("sha256", hashlib.sha256(b"x").hexdigest()), ("hash", "0a1b2c3d4e"),
    ("model", "gpt-4o-mini-2024"), ("bypass", "abcd1234"), ("compass_word", "abcd1234"), ("token_count", "ab12cd34"),
    ("api_key", "true"), ("secret", "a hidden place"), ("negative_token", "easynegative1"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), SECRET_WIDGETS)
def test_a_widget_whose_name_promises_a_secret(name: str, value: str) -> None:
    vault = Vault()
    graph = {"1": {"class_type": "Ask", "inputs": {name: value, "text": "hello"}}}
    collect_named(graph, vault, "the graph")
    hidden = vault.hide_all(graph, "the graph")
    assert hidden["1"]["inputs"][name].startswith("${secret:")
    assert hidden["1"]["inputs"]["text"] == "hello"
    assert vault.places[next(iter(vault.places))] == [f"the widget {name!r} of node Ask"]


@pytest.mark.parametrize(("name", "value"), PLAIN_WIDGETS)
def test_a_widget_that_holds_none(name: str, value: str) -> None:
    vault = Vault()
    graph = {"1": {"class_type": "Ask", "inputs": {name: value}}}
    collect_named(graph, vault, "the graph")
    assert vault.hide_all(graph, "the graph") == graph


def test_widgets_by_position_by_name_wrapped_in_definitions_and_in_marks() -> None:
    info = {"Ask": {"input": {"required": {
        "model": ["MODEL"], "seed": ["INT", {}], "api_key": ["STRING", {"default": "default-key-1"}],
        "token": [["choice-one-1", "choice-two-2"]], "text": ["STRING"],
    }}}}  # fmt: skip
    nodes = [
        {"id": 1, "type": "Ask", "widgets_values": [7, "randomize", "position-key-1", "choice-one-1", "hello"]},
        {"id": 2, "type": "Ask", "widgets_values": [7, "position-key-2", "choice-one-1", "hello"]},
        {"id": 3, "type": "Ask", "widgets_values": {"api_key": "dict-key-1", "text": "hello"}},
        {"id": 4, "type": "Odd", "widgets_values": ["a", "named-key-1"],
         "inputs": [{"name": "x", "widget": {"name": "x"}}, {"name": "api_key", "widget": {"name": "api_key"}}]},
        {"id": 5, "type": "Odd", "properties": {"api_key": "property-key-1",
                                                "capsule": {"inputs": {"api_key": {"default": "mark-key-1"}}}}},
        {"id": 6, "type": "Odd", "widgets_values": ['{"headers": {"x-api-key": "nested-key-1"}}']},
    ]  # fmt: skip
    ui = {"nodes": [], "definitions": {"subgraphs": [{"id": "s", "nodes": nodes}]}, "extra": {"key": "plain-value-1"}}
    vault = Vault()
    collect_named(info, vault, "the definitions")
    collect_named(ui, vault, "the graph", info)
    shown = str(vault.hide_all([ui, info], "the graph"))
    for kind in ("default", "position", "dict", "named", "property", "mark", "nested"):
        assert f"{kind}-key" not in shown
    assert "choice-one-1" in shown
    assert "plain-value-1" in shown
    assert list(vault.places) == ["API_KEY", *(f"API_KEY_{n}" for n in range(2, 8)), "X_API_KEY"]


def test_the_same_value_has_one_name_and_classes_and_keys_stay() -> None:
    graph = {"1": {"class_type": "letmein", "inputs": {"password": "letmein", "hf_token": HF, "note": f"it is {HF}"}}}
    vault = Vault()
    collect_named(graph, vault, "the graph")
    hidden = vault.hide_all(graph, "the graph")
    assert hidden == {"1": {"class_type": "letmein", "inputs": {
        "password": "${secret:PASSWORD}", "hf_token": "${secret:HF_TOKEN}", "note": "it is ${secret:HF_TOKEN}",
    }}}  # fmt: skip
    assert vault.hide_all(hidden, "the graph") == hidden


def test_a_long_text_takes_no_long_time() -> None:
    for text in ("a" * 400_000, "sk-" * 130_000, "eyJ" * 130_000, "a://" * 100_000, "key=" * 100_000, "?a" * 200_000,
                 "-----BEGIN PRIVATE KEY-----" * 2_000, "https://a:" + "b" * 400_000):  # fmt: skip
        began = time.perf_counter()
        Vault().hide(text, "a note")
        assert time.perf_counter() - began < 2, text[:20]


@pytest.mark.parametrize(
    ("name", "head"),
    [
        (".env", b""), ("config/.env.local", b""), ("prod.env", b"A=1"), (".netrc", b""), ("a/.pypirc", b""),
        ("id_rsa", b""), ("keys/id_ed25519", b""), ("server.pem", PEM.encode()), ("server.key", PEM.encode()),
        ("anything", PEM.encode()), (".npmrc", b"//host/:_authToken=abcdef12"), ("home/.aws/credentials", b""),
        ("token.txt", b""), ("hf_token", b""), ("civitai_key", b""), ("huggingface_token.txt", b""), ("x.p12", b""),
        ("credentials.json", b'{"client_secret": "abcd-efgh-1"}'),
        ("sa.json", b'{"private_key": "x", "client_email": "y"}'),
        ("config.json", b'{"x": "' + HF.encode() + b'"}'), ("config.ini", b"api_key = abcdef0123456789abcdef"),
        (".env.example", b"TOKEN=" + HF.encode()),
        (".env~", b"A=1"), ("sub/.env_local", b"A=1"), (".bash_history", b"ls"), ("kaggle.json", b'{"key": "x"}'),
    ],
)  # fmt: skip
def test_a_file_that_holds_keys(name: str, head: bytes) -> None:
    assert is_secret_file(name, head)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("__init__.py", b"import os"), ("README.md", b"set HF_TOKEN"), ("config.json", b'{"width": 8}'),
        (".env.example", b"TOKEN="), (".env.template", b""), ("environment.py", b""), ("tokenizer.json", b"{}"),
        ("special_tokens_map.json", b'{"eos_token": "</s>"}'), ("cert.pem", b"-----BEGIN CERTIFICATE-----"),
        ("keys.py", b"KEY = 1"), ("key.png", b"\x89PNG"), ("id_rsa.pub", b"ssh-rsa AAAA"), (".npmrc", b"save=1"),
        ("credentials.py", b""), ("tokens.txt", b"cat\ndog"), ("model.key.safetensors", b"\0"),
        ("tests/pem.py", b'"-----BEGIN PRIVATE KEY-----"'), ("credentials.json", b'{"user": "me"}'),
    ],
)  # fmt: skip
def test_a_file_that_holds_none(name: str, head: bytes) -> None:
    assert not is_secret_file(name, head)


def test_a_file_is_looked_through_for_every_token_that_a_text_is() -> None:
    tokens = [value for value in BY_SHAPE.values() if any(True for _ in find_tokens(value))]
    assert len(tokens) >= 15
    assert [value for value in tokens if not has_token(f"key = {value}\n".encode())] == []


def test_launch_arguments_lose_their_secrets() -> None:
    given = ["main.py", "--listen", "0.0.0.0", "--api-key", "abcdefgh", "--hf-token=" + HF, "--cpu", "TOKEN=abc",
             "https://h/x?a=1&token=abcdef12", GH, "--password", "--port", "8188"]  # fmt: skip
    assert clean_arguments(given) == (
        "main.py", "--listen", "0.0.0.0", "--api-key", "${secret:API_KEY}", "--hf-token=${secret:HF_TOKEN}", "--cpu",
        "TOKEN=${secret:TOKEN}", "https://h/x?a=1", "${secret:GITHUB_TOKEN}", "--password", "--port", "8188",
    )  # fmt: skip
