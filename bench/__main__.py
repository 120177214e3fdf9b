"""All benchmarks, one after the other, in one table: `python -m bench`."""

import sys

from bench import (
    bundle_served,
    bundle_size,
    cli,
    client_api,
    command_round_trip,
    console_first_load,
    console_hosts,
    console_log_view,
    console_memory,
    control_socket,
    deploy,
    fan_out,
    file_transfer,
    footprint,
    groups,
    links,
    log_stream,
    minute_rows,
    schedules,
    target_preview,
    watched_metrics,
)
from bench.rig.options import run

sys.exit(
    run(
        {
            each.TITLE: each.measure
            for each in (
                cli,
                client_api,
                command_round_trip,
                console_first_load,
                console_hosts,
                console_log_view,
                console_memory,
                control_socket,
                fan_out,
                target_preview,
                groups,
                schedules,
                log_stream,
                file_transfer,
                minute_rows,
                watched_metrics,
                links,
                bundle_size,
                bundle_served,
                deploy,
                footprint,
            )
        }
    ),
)
