"""Steps are taken in order where order matters, side by side where not, and again while they may."""

from __future__ import annotations

import asyncio

from tests.harness.fakes import run_pending
from workspace_authz.apps.demo.guide import Row, take
from workspace_authz.apps.demo.performers import Result
from workspace_authz.apps.demo.table import table
from workspace_authz.apps.demo.tour import Stage, Step

DAY = 86_400.0


class Scripted:
    """Gives one answer after the other, and notes in a shared list what it was asked."""

    credential = "token"

    def __init__(self, name: str, answers: list[Result], asked: list[str]) -> None:
        self.name, self.answers, self.asked = name, answers, asked
        self.gate = asyncio.Event()
        self.gate.set()

    async def perform(self, step: Step) -> Result:
        self.asked.append(f"{self.name} {step.action}")
        await self.gate.wait()
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def test_side_by_side_nobody_waits_for_another_and_rows_keep_the_order_of_the_tour() -> None:
    asked: list[str] = []
    alice, bob = (Scripted(name, [Result("ok")], asked) for name in ("alice", "bob"))
    alice.gate.clear()
    stage = Stage(
        "", (Step("alice", "", "a1", "ok"), Step("bob", "", "b1", "ok"), Step("alice", "", "a2", "ok"))
    )

    rows = asyncio.create_task(take(stage, {"alice": alice, "bob": bob}))
    await run_pending()

    assert "bob b1" in asked
    assert "alice a2" not in asked
    alice.gate.set()
    assert [row.step.action for row in await rows] == ["a1", "b1", "a2"]


async def test_in_turns_one_step_waits_for_the_one_before() -> None:
    asked: list[str] = []
    people = {name: Scripted(name, [Result("ok")], asked) for name in ("admin", "bob")}
    steps = (
        Step("admin", "", "bind", "ok"),
        Step("bob", "", "read", "ok"),
        Step("admin", "", "unbind", "ok"),
    )

    await take(Stage("", steps, together=False), people)

    assert asked == ["admin bind", "bob read", "admin unbind"]


async def test_a_step_is_repeated_until_it_comes_out_as_expected() -> None:
    asked: list[str] = []
    bob = Scripted("bob", [Result("403"), Result("read")], asked)

    (row,) = await take(Stage("", (Step("bob", "", "read", "read", within=DAY),)), {"bob": bob})

    assert row.as_expected
    assert len(asked) == 2


async def test_a_step_that_has_no_time_is_taken_once_and_its_account_is_kept() -> None:
    asked: list[str] = []
    bob = Scripted("bob", [Result("200", "he got in"), Result("403")], asked)

    (row,) = await take(Stage("", (Step("bob", "", "read", "403"),)), {"bob": bob})

    assert (row.got, row.detail, row.as_expected) == ("200", "he got in", False)
    assert len(asked) == 1


def test_the_table_marks_what_was_not_as_expected_and_tells_all_about_it() -> None:
    right = Row(Step("alice", "lists", "list", "team-a"), "token", "team-a", "", 0.1)
    wrong = Row(Step("bob", "reads", "read", "403", within=5), "token", "200", "he got in", 5.25)

    lines = table([("Work", [right]), ("Refusals", [wrong])]).splitlines()

    assert lines[0].split() == ["who", "with", "does", "expected", "got"]
    assert lines[3:8] == [
        "Work",
        "ok  alice  token  lists  team-a    team-a",
        "",
        "Refusals",
        "NO  bob    token  reads  403       200 (after 5.2 s)",
    ]
    assert lines[9:] == ["1 of 2 as expected.", "bob reads: 200 he got in"]
