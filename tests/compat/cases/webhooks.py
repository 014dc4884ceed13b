"""Webhooks of the registry, by their protocol alone: what is told to whom is no answer, see tests/api/test_webhooks.py.

Both servers run with their defaults, so URLs have to be https and public; an address needs no name server.
"""

from __future__ import annotations

from tests.compat.script import Call, Case, Group, Json, call, case, get, post, raw
from tests.compat.supersets import HALF_PARSED

ONCE = "an event that is said twice counts once; stock fails on a constraint of its database"

URL = "https://8.8.8.8/hook"
MODEL_CREATED = {"entity": "REGISTERED_MODEL", "action": "CREATED"}
VERSION_CREATED = {"entity": "MODEL_VERSION", "action": "CREATED"}
TAG_SET = {"entity": "MODEL_VERSION_TAG", "action": "SET"}
ALIAS_DELETED = {"entity": "MODEL_VERSION_ALIAS", "action": "DELETED"}


def webhook(name: str, url: str = URL, events: Json = (MODEL_CREATED,), **more: Json) -> Call:
    """Return the making of a webhook."""
    body = {"name": name, "url": url, "events": list(events) if isinstance(events, tuple) else events, **more}
    return Call("POST", "/webhooks", body, save={"id": "webhook.webhook_id"})


def patch(**fields: Json) -> Call:
    return call("PATCH", "/webhooks/{id}", fields)


def refused_urls() -> list[Case]:
    urls = {
        "http": "http://8.8.8.8/hook",
        "no scheme": "8.8.8.8/hook",
        "ftp": "ftp://8.8.8.8/",
        "no host": "https:///hook",
        "loopback": "https://127.0.0.1/hook",
        "loopback by name": "https://localhost/hook",
        "private": "https://10.1.2.3:8443/hook",
        "metadata service": "https://169.254.169.254/latest",
        "ipv6 loopback": "https://[::1]/hook",
        "mapped": "https://[::ffff:127.0.0.1]/hook",
        "half an address": "https://[::1/hook",
        "spaces": "   ",
        "empty": "",
    }
    return [case(f"url: {name}", webhook("hook", url)) for name, url in urls.items()]


def refused_names() -> list[Case]:
    names = {"empty": "", "too long": "x" * 64, "begins with -": "-x", "space": "a b", "umlaut": "hük"}
    return [case(f"name: {name}", webhook(value)) for name, value in names.items()]


GROUP = Group(
    "webhooks",
    (),
    (
        case("create, get", webhook("first", description="words", secret="s"), get("/webhooks/{id}")),
        case("longest name", webhook("x" * 63)),
        case("every kind of character", webhook("A.b_c-9")),
        case("disabled", webhook("hook", status="DISABLED"), get("/webhooks/{id}")),
        case("an unknown status", webhook("hook", status="ASLEEP"), superset=HALF_PARSED),
        case("several events", webhook("hook", events=(TAG_SET, MODEL_CREATED, ALIAS_DELETED)), get("/webhooks/{id}")),
        case("events by number", webhook("hook", events=({"entity": 2, "action": 1},)), get("/webhooks/{id}")),
        case("an event twice", webhook("hook", events=(MODEL_CREATED, MODEL_CREATED)), superset=ONCE),
        case("no events", webhook("hook", events=())),
        case("events left out", post("/webhooks", {"name": "hook", "url": URL})),
        case("an event that is none", webhook("hook", events=({"entity": "MODEL_VERSION", "action": "SET"},))),
        case("an unknown entity", webhook("hook", events=({"entity": "RUN", "action": "CREATED"},))),
        case("an event without an action", webhook("hook", events=({"entity": "MODEL_VERSION"},))),
        case("events that are no list", webhook("hook", events="model_version.created")),
        case("a budget", webhook("hook", events=({"entity": "BUDGET_POLICY", "action": "EXCEEDED"},))),
        case("a prompt", webhook("hook", events=({"entity": "PROMPT_VERSION_TAG", "action": "DELETED"},))),
        case("name left out", post("/webhooks", {"url": URL, "events": [MODEL_CREATED]})),
        case("url left out", post("/webhooks", {"name": "hook", "events": [MODEL_CREATED]})),
        case("a name that is a number", post("/webhooks", {"name": 7, "url": URL, "events": [MODEL_CREATED]})),
        case("no JSON", raw("/webhooks", b"{")),
        case("two of one name", webhook("twin"), webhook("twin")),
        *refused_urls(),
        *refused_names(),
        case("update nothing", webhook("hook", description="words"), patch(), get("/webhooks/{id}")),
        case("rename", webhook("hook"), patch(name="other"), get("/webhooks/{id}")),
        case("update the url", webhook("hook"), patch(url="https://1.1.1.1/other"), get("/webhooks/{id}")),
        case("update to a private url", webhook("hook"), patch(url="https://192.168.0.1/"), get("/webhooks/{id}")),
        case("update to a bad name", webhook("hook"), patch(name="a b"), get("/webhooks/{id}")),
        case("other events", webhook("hook"), patch(events=[TAG_SET, VERSION_CREATED]), get("/webhooks/{id}")),
        case("empty events", webhook("hook"), patch(events=[]), get("/webhooks/{id}")),
        case("disable", webhook("hook"), patch(status="DISABLED"), patch(status="ACTIVE"), get("/webhooks/{id}")),
        case("an unknown status to go to", webhook("hook"), patch(status="ASLEEP"), superset=HALF_PARSED),
        case("no description", webhook("hook", description="words"), patch(description=""), get("/webhooks/{id}")),
        case("no secret", webhook("hook", secret="s"), patch(secret=""), get("/webhooks/{id}")),
        case("update nobody", call("PATCH", "/webhooks/nobody", {"name": "x"})),
        case("delete", webhook("hook"), call("DELETE", "/webhooks/{id}"), get("/webhooks/{id}")),
        case("delete twice", webhook("hook"), call("DELETE", "/webhooks/{id}"), call("DELETE", "/webhooks/{id}")),
        case("update what is deleted", webhook("hook"), call("DELETE", "/webhooks/{id}"), patch(name="other")),
        case("delete nobody", call("DELETE", "/webhooks/nobody")),
        case("get nobody", get("/webhooks/nobody")),
        case("test nobody", post("/webhooks/nobody/test", {})),
        case("test an event that is none", webhook("h"), post("/webhooks/{id}/test", {"event": {"entity": "PROMPT"}})),
        case("the newest first", webhook("one"), webhook("two"), get("/webhooks", {"max_results": 1})),
        case("at most 1000", get("/webhooks", {"max_results": 1001})),
        case("less than none", get("/webhooks", {"max_results": -1})),
        case("a page that is none", get("/webhooks", {"page_token": "nonsense!"})),
        case("results that are no number", get("/webhooks", {"max_results": "many"})),
    ),
)
