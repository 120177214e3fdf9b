"""The center's end of every link: the open ones, and the sockets behind them."""
