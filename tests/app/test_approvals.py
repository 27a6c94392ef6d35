"""Approvals through the service: asked once, bound to the call, executed once."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.callers import DEFAULT_NAMESPACE as NAMESPACE
from app.db.approvals import ApprovalFilter
from app.db.audit import AuditFilter
from app.errors import ConflictError, InvalidInputError, NotFoundError
from app.schemas import Budget, TaskRequest
from app.schemas_approvals import ApprovalView, DecisionRequest
from app.wiring import Runtime, open_runtime
from models.messages import Message, ToolCall
from tests.support.service import RoleModel, call, settings_for, until

pytestmark = pytest.mark.anyio
ASK_SHELL = {"rules": [{"tool": "shell", "decision": "ask"}]}
APPEND = "echo once >> log.txt"


async def _submit(runtime: Runtime, approval: dict[str, Any] | None = None, **given: Any) -> str:
    fields = {"instruction": "add up", "approval": approval or ASK_SHELL} | given
    return (await runtime.tasks.submit(TaskRequest.model_validate(fields))).task.id


async def _waiting(runtime: Runtime, task_id: str, status: str = "waiting_approval") -> None:
    async for event in runtime.tasks.follow(task_id):
        if event.data.get("status") == status:
            return


async def _pending(runtime: Runtime) -> list[ApprovalView]:
    wanted = ApprovalFilter(namespace=NAMESPACE, statuses=("pending",))
    return (await runtime.approvals.list(wanted)).items


async def _decide(runtime: Runtime, decision: str, **given: Any) -> ApprovalView:
    [approval] = await _pending(runtime)
    said = DecisionRequest.model_validate({"decision": decision} | given)
    return await runtime.approvals.decide(approval.id, said, namespace=NAMESPACE)


async def _kinds(runtime: Runtime, task_id: str) -> list[str]:
    return [event.kind async for event in runtime.tasks.follow(task_id)]


def _texts(model: RoleModel) -> str:
    return "\n".join(m.content for r in model.requests for m in r.messages)


def _log(home: Path, task_id: str) -> str:
    path = home / "workspaces" / task_id / "log.txt"
    return path.read_text() if path.exists() else ""


async def test_an_approved_call_is_made_once_with_the_approved_arguments(home: Path) -> None:
    model = RoleModel(call("shell", command=APPEND), call("answer", text="42"))
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime)
        await _waiting(runtime, task_id)
        [asked] = await _pending(runtime)
        assert (asked.tool, asked.risk, asked.kind) == ("shell", "medium", "call")
        assert asked.arguments == {"command": APPEND}
        assert _log(home, task_id) == ""
        assert (await _decide(runtime, "approve")).status == "approved"
        said = DecisionRequest(decision="reject")
        with pytest.raises(ConflictError, match="approved already"):
            await runtime.approvals.decide(asked.id, said, namespace=NAMESPACE)
        page = await runtime.namespaces.audit(AuditFilter(action="approval"))
        assert [(line.action, line.object) for line in page] == [("approval.approved", asked.id)]
        kinds = await _kinds(runtime, task_id)
        assert (await runtime.tasks.get(task_id)).status == "succeeded"
    assert _log(home, task_id) == "once\n"
    assert kinds.count("approval") == 2
    assert kinds.count("step") == 2


async def test_a_rejected_call_is_not_made_and_the_model_reads_why(home: Path) -> None:
    model = RoleModel(call("shell", command=APPEND), call("answer", text="42"))
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime)
        await _waiting(runtime, task_id)
        await _decide(runtime, "reject", note="use write_file")
        await _kinds(runtime, task_id)
    assert _log(home, task_id) == ""
    assert "The owner rejected this call: use write_file" in _texts(model)


async def test_edited_arguments_are_checked_made_and_shown_as_edited(home: Path) -> None:
    model = RoleModel(call("shell", command=APPEND), call("answer", text="42"))
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime)
        await _waiting(runtime, task_id)
        with pytest.raises(InvalidInputError, match="edited"):
            await _decide(runtime, "edit", edited={"comand": "ls"})
        with pytest.raises(InvalidInputError, match="edited"):
            await _decide(runtime, "edit")
        await _decide(runtime, "edit", edited={"command": "echo twice >> log.txt"})
        await _kinds(runtime, task_id)
    assert _log(home, task_id) == "twice\n"
    assert "The owner changed the arguments of this call" in _texts(model)


async def test_an_approval_outlives_the_process_and_is_not_asked_for_twice(home: Path) -> None:
    asking = RoleModel(call("shell", command=APPEND))
    async with open_runtime(settings_for(home), model=asking) as runtime:
        task_id = await _submit(runtime)
        await _waiting(runtime, task_id)
    async with open_runtime(settings_for(home), work=False) as runtime:
        await _decide(runtime, "approve")
    model = RoleModel(call("answer", text="42"))
    async with open_runtime(settings_for(home), model=model) as runtime:
        kinds = await _kinds(runtime, task_id)
        assert (await runtime.tasks.get(task_id)).status == "succeeded"
    assert _log(home, task_id) == "once\n"
    assert kinds.count("approval") == 2


async def test_a_call_cut_off_after_its_approval_is_asked_about_before_it_is_repeated(
    home: Path,
) -> None:
    command = f"{APPEND}; [ $(wc -l < log.txt) -gt 1 ] || sleep 60"
    model = RoleModel(call("shell", command=command), call("answer", text="42"))
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime)
        await _waiting(runtime, task_id)
        await _decide(runtime, "approve")
        await until(lambda: _log(home, task_id) == "once\n")
    async with open_runtime(settings_for(home), model=model) as runtime:
        await until_pending(runtime)
        [asked] = await _pending(runtime)
        assert (asked.kind, asked.arguments) == ("repeat", {"command": command})
        with pytest.raises(InvalidInputError, match="not at all"):
            await _decide(runtime, "edit", edited={"command": "ls"})
        await _decide(runtime, "approve")
        await _kinds(runtime, task_id)
        assert (await runtime.tasks.get(task_id)).status == "succeeded"
    assert _log(home, task_id) == "once\nonce\n"


async def until_pending(runtime: Runtime) -> None:
    """Wait until somebody is asked."""
    async with asyncio.timeout(20):
        while not await _pending(runtime):  # noqa: ASYNC110 - it lies in a database
            await asyncio.sleep(0.01)


async def test_several_calls_and_a_question_of_one_turn_wait_for_all_decisions(home: Path) -> None:
    named = [("shell", {"command": APPEND}), ("ask_human", {"question": "Which one?"})]
    both = Message(
        role="assistant",
        tool_calls=tuple(ToolCall(id="x", name=name, arguments=given) for name, given in named),
    )
    model = RoleModel(both, call("answer", text="42"))
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime)
        await _waiting(runtime, task_id)
        await _decide(runtime, "approve")
        await _waiting(runtime, task_id, "waiting_input")
        await runtime.steering.say(task_id, "the blue one", namespace=NAMESPACE)
        await _kinds(runtime, task_id)
    assert _log(home, task_id) == "once\n"
    assert "the blue one" in _texts(model)


async def test_the_strictest_policy_holds_and_a_denied_call_is_told_to_the_model(
    home: Path,
) -> None:
    model = RoleModel(call("shell", command=APPEND), call("answer", text="42"))
    operator = {"rules": [{"risk": "medium", "decision": "deny"}]}
    async with open_runtime(settings_for(home, approval=operator), model=model) as runtime:
        task_id = await _submit(runtime, {"default": "allow"})
        await _kinds(runtime, task_id)
    assert _log(home, task_id) == ""
    assert "The policy does not allow `shell`" in _texts(model)


async def test_a_pause_while_waiting_and_a_cancel_leave_nothing_to_decide(home: Path) -> None:
    model = RoleModel(call("shell", command=APPEND), call("answer", text="42"))
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime)
        await _waiting(runtime, task_id)
        await runtime.steering.pause(task_id, namespace=NAMESPACE)
        await _decide(runtime, "approve")
        assert (await runtime.tasks.get(task_id)).status == "paused"
        await runtime.steering.resume(task_id, namespace=NAMESPACE)
        await _kinds(runtime, task_id)
        other = await _submit(runtime)
        model.lines["solver.operate"] = [call("shell", command=APPEND)]
        await _waiting(runtime, other)
        [asked] = await _pending(runtime)
        await runtime.tasks.cancel(other)
        assert await _pending(runtime) == []
        with pytest.raises(NotFoundError):
            await runtime.approvals.get(asked.id, namespace="elsewhere")
    assert _log(home, task_id) == "once\n"


async def test_a_spent_budget_waits_for_more_and_goes_on_where_it_stood(home: Path) -> None:
    model = RoleModel(call("shell", command=APPEND), call("answer", text="42"))
    async with open_runtime(settings_for(home), model=model) as runtime:
        task_id = await _submit(runtime, {"default": "allow"}, budget={"usd": 0})
        await _waiting(runtime, task_id, "waiting_budget")
        hands = runtime.steering
        with pytest.raises(InvalidInputError, match="expected more than"):
            await hands.rebudget(task_id, Budget(usd=0), namespace=NAMESPACE)
        await hands.rebudget(task_id, Budget(usd=1), namespace=NAMESPACE)
        kinds = await _kinds(runtime, task_id)
        task = await runtime.tasks.get(task_id)
        with pytest.raises(ConflictError, match="succeeded"):
            await hands.rebudget(task_id, Budget(tokens=5), namespace=NAMESPACE)
    assert (task.status, task.budget.usd) == ("succeeded", 1)
    assert kinds.count("budget") == 2
    assert [r.purpose for r in model.requests].count("manager.plan") == 1


async def test_a_budget_can_be_a_hard_end(home: Path) -> None:
    async with open_runtime(settings_for(home), model=RoleModel()) as runtime:
        task_id = await _submit(runtime, {"default": "allow"}, budget={"usd": 0, "on_limit": "end"})
        await _kinds(runtime, task_id)
        assert (await runtime.tasks.get(task_id)).end_reason == "budget"
