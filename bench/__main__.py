"""All benchmarks, one after the other, in one table: `python -m bench`."""

import sys

from bench import command_round_trip, fan_out, footprint, links
from bench.rig.options import run

sys.exit(
    run({each.TITLE: each.measure for each in (command_round_trip, fan_out, links, footprint)}),
)
