"""A local exchange that speaks Binance's REST and WebSocket protocols, and says that it is simulated."""
