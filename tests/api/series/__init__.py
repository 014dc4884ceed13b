"""Series over HTTP, and the pure parts behind them."""
