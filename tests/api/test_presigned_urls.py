"""Single files that clients put and fetch by URLs that the server signed; of a put they tell it nothing."""

from __future__ import annotations

import httpx
import pytest

from mltrail_core.clock import now_us
from mltrail_jobs.hashing import find_unhashed_uploads, hash_upload
from mltrail_jobs.uploads import note_uploads
from tests.api.past_server import PROXY, PastServer, sha256_of
from tests.api.running import wait_until


@pytest.fixture
def run_id(past_server: PastServer) -> str:
    return past_server.api.create_run()


@pytest.fixture
def root(run_id: str) -> str:
    return f"0/{run_id}/artifacts"


def due(past_server: PastServer, at_us: int | None = None) -> set[int | str]:
    """Return the ids of the uploads that are to be hashed."""
    jobs = find_unhashed_uploads(past_server.api.read_model, at_us or now_us())
    return {argument for job in jobs for argument in job.arguments}


def put(url: tuple[str, dict[str, str]], content: bytes) -> None:
    """Put a file by a URL, without mltrail's knowledge."""
    answer = httpx.put(url[0], headers=url[1], content=content)
    assert answer.status_code == 200, answer.text


def test_a_file_that_was_put_by_url_is_there_for_whoever_looks(past_server: PastServer, run_id: str, root: str) -> None:
    url = past_server.url_to_put(run_id, "table.csv")
    assert url[1] == {"Content-Type": "text/plain"}
    listing = {"run_id": run_id}
    assert past_server.api.get("/artifacts/list", **listing).json()["files"] == []
    put(url, b"a,b\n")
    files = past_server.api.get("/artifacts/list", **listing).json()["files"]
    assert files == [{"path": "table.csv", "is_dir": False, "file_size": 4}]
    assert past_server.read(f"{root}/table.csv") == b"a,b\n"


def test_a_file_that_nobody_looks_at_is_noted_by_a_job(past_server: PastServer, run_id: str) -> None:
    put(past_server.url_to_put(run_id, "f"), b"unseen")
    assert note_uploads(past_server.places).arrived >= 1
    wait_until(lambda: "f" in past_server.shown(run_id)[1])


def test_what_is_written_after_a_put_by_url_stands_after_it(past_server: PastServer, run_id: str, root: str) -> None:
    put(past_server.url_to_put(run_id, "f"), b"older")
    http, url = past_server.api.client, f"{past_server.api.url}{PROXY}/artifacts/{root}"
    assert http.put(f"{url}/f", content=b"newer").status_code == 200
    assert past_server.read(f"{root}/f") == b"newer"
    put(past_server.url_to_put(run_id, "g"), b"to be deleted")
    assert http.delete(f"{url}/g").status_code == 200
    assert http.get(f"{url}/g").status_code == 404


def test_a_url_may_be_put_to_again_until_it_ends_and_the_last_content_is_hashed(
    past_server: PastServer, run_id: str, root: str
) -> None:
    url = past_server.url_to_put(run_id, "f", expiration=600)
    put(url, b"first try")
    assert past_server.read(f"{root}/f") == b"first try"
    put(url, b"second try")
    assert past_server.read(f"{root}/f") == b"second try"
    upload_id = past_server.shown(run_id)[1]["f"]
    assert upload_id not in due(past_server)
    assert upload_id in due(past_server, now_us() + 601_000_000)
    assert hash_upload(past_server.places, upload_id) == "hashed"
    wait_until(lambda: past_server.shown(run_id) == ({"f": sha256_of(b"second try")}, {}))


def test_a_model_takes_files_by_url_and_one_owner_is_named(past_server: PastServer, run_id: str) -> None:
    created = past_server.api.post("/logged-models", {"experiment_id": "0", "name": "m"}).json()
    model_id = created["model"]["info"]["model_id"]
    path = "/artifacts/presigned-upload-url"
    url = past_server.api.post(path, {"model_id": model_id, "path": "MLmodel"}).json()
    put((url["presigned_url"], url["headers"]), b"flavors: {}")
    listed = past_server.api.get(f"/logged-models/{model_id}/artifacts/directories").json()
    assert [file["path"] for file in listed["files"]] == ["MLmodel"]
    for body in ({"path": "x"}, {"path": "x", "run_id": run_id, "model_id": model_id}):
        assert past_server.api.post(path, body).json()["message"].startswith("Exactly one of run_id and model_id")
    for body, status in (
        ({"run_id": "0" * 32, "path": "x"}, 404),
        ({"model_id": "m-" + "0" * 32, "path": "x"}, 404),
        ({"run_id": run_id, "path": "../x"}, 400),
        ({"run_id": run_id, "path": "x", "expiration": 604_801}, 400),
        ({"run_id": run_id, "path": "x", "expiration": 0}, 400),
    ):
        assert past_server.api.post(path, body).status_code == status, body


def test_downloads_by_url_are_ranged_named_and_typed(past_server: PastServer, run_id: str, root: str) -> None:
    past_server.upload(f"{root}/naïve.csv", b"0123456789")
    http, proxy = past_server.api.client, f"{past_server.api.url}{PROXY}"
    assert http.put(f"{proxy}/artifacts/{root}/stored.csv", content=b"0123456789").status_code == 200
    for name in ("naïve.csv", "stored.csv"):
        answers = (
            past_server.api.post("/artifacts/presigned-download-url", {"run_id": run_id, "path": name}).json(),
            http.get(f"{proxy}/presigned/{root}/{name}").json(),
        )
        for answer, word in zip(answers, ("presigned_url", "url"), strict=True):
            assert (answer["file_size"], answer["headers"]) == (10, {})
            found = httpx.get(answer[word], headers={"Range": "bytes=3-5"})
            assert (found.status_code, found.content) == (206, b"345")
            assert found.headers["content-type"] == "text/plain"
            assert found.headers["content-disposition"].startswith("attachment; filename=")
    for wrong in ("nothing", "", "../x"):
        answer = past_server.api.post("/artifacts/presigned-download-url", {"run_id": run_id, "path": wrong})
        assert answer.status_code in (400, 404)
    assert http.get(f"{proxy}/presigned/{root}/nothing").status_code == 404


def test_artifacts_that_lie_elsewhere_are_not_presigned(past_server: PastServer) -> None:
    created = past_server.api.post("/experiments/create", {"name": "theirs", "artifact_location": "s3://theirs/x"})
    run = past_server.api.create_run(created.json()["experiment_id"])
    answer = past_server.api.post("/artifacts/presigned-upload-url", {"run_id": run, "path": "f"})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "this server does not keep them" in answer.json()["message"]
