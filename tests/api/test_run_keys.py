"""The catalogue of keys over HTTP, of what MLflow's protocol wrote."""

from __future__ import annotations

from tests.api.running import RunningApi


def test_the_keys_of_experiments_are_listed_as_soon_as_they_are_written(api: RunningApi) -> None:
    for name, key in (("near", "loss"), ("far", "acc")):
        run_id = api.create_run(api.create_experiment(name))
        batch = {"metrics": [{"key": key, "value": 1, "timestamp": 1}], "params": [{"key": "lr", "value": "1"}]}
        api.post("/runs/log-batch", {"run_id": run_id, **batch}).raise_for_status()
    one = api.client.get(f"{api.url}/api/v1/experiments/near/keys", params={"kind": "metrics"})
    assert one.headers["X-Mltrail-Consistency"] == "current"
    assert one.json() == {"kind": "metrics", "keys": ["loss"], "next_page_token": None}
    several: dict[str, str | list[str] | int] = {"kind": "metrics", "experiments": ["near", "far"], "max_results": 1}
    page = api.client.get(f"{api.url}/api/v1/keys", params=several).json()
    assert page["keys"] == ["acc"]
    rest = api.client.get(f"{api.url}/api/v1/keys", params={**several, "page_token": page["next_page_token"]}).json()
    assert (rest["keys"], rest["next_page_token"]) == (["loss"], None)
    assert api.client.get(f"{api.url}/api/v1/keys", params={"kind": "params", "prefix": "l"}).json()["keys"] == ["lr"]


def test_unknown_experiments_and_kinds_are_refused(api: RunningApi) -> None:
    unknown = api.client.get(f"{api.url}/api/v1/experiments/nowhere/keys", params={"kind": "tags"})
    assert unknown.status_code == 404
    assert "'nowhere'" in unknown.json()["message"]
    assert api.client.get(f"{api.url}/api/v1/keys", params={"kind": "files"}).status_code == 400
    assert api.client.get(f"{api.url}/api/v1/keys", params={"kind": "tags", "prefix": "\0"}).status_code == 400
