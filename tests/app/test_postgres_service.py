import pytest

from tests.support.postgres import PostgresServer
from tests.support.service import RoleModel, call, ended, serving

pytestmark = pytest.mark.anyio


async def test_a_service_on_postgres_outlives_a_restart_of_the_server(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    model = RoleModel(call("answer", text="42"))
    model.holds_at = 1
    with postgres.fresh() as url:
        async with serving(home, model, database_url=url) as client:
            accepted = await client.post("/api/v1/tasks", json={"instruction": "add it up"})
            assert accepted.status_code == 202
            task_id = accepted.json()["id"]
            await model.held.wait()

            postgres.stop()
            try:
                away = await client.get(f"/api/v1/tasks/{task_id}")
                refused = await client.post("/api/v1/tasks", json={"instruction": "more"})
            finally:
                postgres.start()
            for answer in (away, refused):
                assert answer.status_code == 503
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.headers["retry-after"] == "5"
                assert "127.0.0.1" not in answer.text

            model.go_on.set()
            assert (await ended(client, task_id))[-1]["event"] == "end"
            task = (await client.get(f"/api/v1/tasks/{task_id}")).json()
            assert (task["status"], task["result"]) == ("succeeded", "42")
            listed = (await client.get("/api/v1/tasks")).json()
            assert [item["id"] for item in listed["items"]] == [task_id]
