"""An event-driven crypto-scalping daemon: candles in, decisions out, the same way everywhere."""
