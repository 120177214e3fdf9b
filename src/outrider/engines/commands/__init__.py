"""Running commands on a host: `CommandEngine` begins an `Execution`, which gives one `Outcome`."""
