"""The options and the frame that every benchmark has in common."""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import uvloop

from bench.rig.figures import Figure, machine, table
from bench.rig.programs import allow_many_files
from bench.rig.usage import Contention


@dataclass(frozen=True, slots=True)
class Options:
    """What a person can ask for. `hosts` replaces the number of simulated hosts; the budgets stay."""

    hosts: int | None
    profile: bool


Benchmark = Callable[[Options], Awaitable[list[Figure]]]


def run(benchmarks: dict[str, Benchmark], arguments: Sequence[str] | None = None) -> int:
    """Run benchmarks one after the other and print one table; 1 with `--strict` when a budget is missed."""
    parser = argparse.ArgumentParser(description="Prints each figure beside its budget.")
    parser.add_argument("--strict", action="store_true", help="end with 1 when a budget is missed")
    parser.add_argument("--hosts", type=int, help="how many simulated hosts to use")
    parser.add_argument(
        "--profile", action="store_true", help="show where the center's time goes (takes py-spy)"
    )
    given = parser.parse_args(arguments)
    allow_many_files()
    options = Options(hosts=given.hosts, profile=given.profile)
    header = machine()
    missed = False
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        tables = []
        for title, benchmark in benchmarks.items():
            figures = runner.run(_measured(benchmark, options))
            missed = missed or any(figure.missed for figure in figures)
            tables.append(table(title, figures))
    sys.stdout.write("\n".join((header, *tables)) + "\n")
    return int(given.strict and missed)


async def _measured(benchmark: Benchmark, options: Options) -> list[Figure]:
    before = Contention.now()
    figures = await benchmark(options)
    others = Contention.now().others_since(before)
    return [*figures, Figure("what other programs took of the machine meanwhile", max(others, 0.0), "cores")]
