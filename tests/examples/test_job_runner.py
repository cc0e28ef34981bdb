"""The job runner example: whatever breaks, each job has one end, and there is a crew."""

from __future__ import annotations

import random

import job_runner as example
import pytest
import trio

from understudy.testing import run_seeded

SEEDS = range(20)


def jobs(*pictures: str, megapixels: float = 10) -> list[example.Job]:
    return [example.Job(picture, megapixels) for picture in pictures]


def seeded(work: example.Work, seed: int, **options: int) -> example.Runner:
    runner = example.Runner(work, **options)
    runner.system.random.seed(seed)
    return runner


def said_of(account: list[str], picture: str) -> str:
    """Return what became of a picture: one thing, and no other."""
    (line,) = (line for line in account if line.startswith(f"{picture}: "))
    return line.partition(": ")[2]


@pytest.mark.usefixtures("virtual_time")
def test_main_prints_what_became_of_each_picture(
    capsys: pytest.CaptureFixture[str],
) -> None:
    example.main()
    account = capsys.readouterr().out.splitlines()
    assert account[0] == "the day begins"
    assert account[-1] == "the day ends"
    for name in ("cat", "dog", "sea", "sky"):
        assert said_of(account, f"{name}.png").endswith("megapixels are left")
    assert said_of(account, "map.png") == "not done in 3 s"
    crashed = "the decoder crashed on damaged.png"
    assert said_of(account, "damaged.png") == f"given up: {crashed}"
    gone = account.index("root/crew/worker 2 is gone for good: crash")
    assert account[gone + 1] == "root/crew/worker 4 is hired"


@pytest.mark.parametrize("seed", SEEDS)
def test_no_more_pictures_are_decoded_at_once_than_there_are_decoders(
    seed: int,
) -> None:
    busy, most = 0, 0

    async def work(job: example.Job) -> str:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await trio.sleep(0.9)
        busy -= 1
        return "done"

    runner = seeded(work, seed, size=5)
    account = run_seeded(runner.run, jobs(*"abcdef"), 0.0, seed=seed)
    assert most == 2
    assert {said_of(account, picture) for picture in "abcdef"} == {"done"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_long_job_holds_up_no_short_one_while_a_worker_is_free(seed: int) -> None:
    async def work(job: example.Job) -> str:
        await trio.sleep(2.5 if job.picture == "long" else 0.05)
        return "done"

    account = run_seeded(seeded(work, seed).run, jobs("long", *"abcdef"), seed=seed)
    in_order = [line for line in account if line.endswith(": done")]
    assert in_order == [f"{picture}: done" for picture in (*"abcdef", "long")]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_day_that_is_called_off_leaves_no_decoder_in_use(seed: int) -> None:
    async def work(job: example.Job) -> str:
        await trio.sleep_forever()
        return "done"

    runner = seeded(work, seed)

    async def main() -> None:
        with trio.move_on_after(1.5) as scope:
            await runner.run(jobs(*"abc"))
        assert scope.cancelled_caught
        assert runner.system.stop_report is not None
        assert runner.system.stop_report.stuck == ()
        assert runner.decoders.holders == ()

    run_seeded(main, seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_job_that_crashes_the_decoder_once_is_done_all_the_same(seed: int) -> None:
    crashed = set[str]()

    async def work(job: example.Job) -> str:
        await trio.sleep(0.1)
        if job.picture not in crashed:
            crashed.add(job.picture)
            raise RuntimeError("the first time is the hardest")
        return "done"

    runner = seeded(work, seed)
    account = run_seeded(runner.run, jobs(*"abc"), seed=seed)
    assert [said_of(account, picture) for picture in "abc"] == 3 * ["done"]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_waits_for_a_worker_that_is_gone_is_done_by_another(seed: int) -> None:
    async def work(job: example.Job) -> str:
        await trio.sleep(0.1)
        if job.picture == "damaged":
            raise RuntimeError("bad chunk")
        return "done"

    runner = seeded(work, seed, size=1)
    pictures = ("damaged", *"abcd")
    account = run_seeded(runner.run, jobs(*pictures), 0.0, seed=seed)
    assert said_of(account, "damaged") == "given up: bad chunk"
    assert [said_of(account, picture) for picture in "abcd"] == 4 * ["done"]
    assert "root/crew/worker 2 is hired" in account


@pytest.mark.parametrize("seed", SEEDS)
def test_with_half_of_all_tries_crashing_each_job_ends_and_the_crew_is_complete(
    seed: int,
) -> None:
    lot = random.Random(seed)

    async def work(job: example.Job) -> str:
        await trio.sleep(lot.random())
        if lot.random() < 0.5:
            raise RuntimeError("bad luck")
        return "done"

    pictures = [f"picture {number}" for number in range(20)]
    account = run_seeded(seeded(work, seed).run, jobs(*pictures), seed=seed)
    ends = {said_of(account, picture) for picture in pictures}
    assert ends <= {"done", "given up: bad luck", "not done in 3 s"}
    hired = sum(line.endswith(" is hired") for line in account)
    assert hired - sum(" is gone for good" in line for line in account) == 3


@pytest.mark.parametrize("seed", SEEDS)
def test_when_the_crew_gives_up_a_new_one_is_hired_and_works_on(seed: int) -> None:
    async def work(job: example.Job) -> str:
        await trio.sleep(0.01)
        if job.picture.startswith("damaged"):
            raise RuntimeError("bad chunk")
        return "done"

    runner = seeded(work, seed)
    damaged = [f"damaged {number}" for number in range(30)]
    account = run_seeded(runner.run, jobs(*damaged, *"abc"), seed=seed)
    assert {said_of(account, picture)[:8] for picture in damaged} == {"given up"}
    assert [said_of(account, picture) for picture in "abc"] == 3 * ["done"]
    lives = {one.id: one.incarnation for one in runner.system.root.children()}
    assert lives["crew"] == 2
    assert lives["foreman"] == 2
