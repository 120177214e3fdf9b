"""The fleet's figures: minute rows taken in, history, live streams, Prometheus."""
