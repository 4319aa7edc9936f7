"""Drivers of the core over stored candles, and the reports on what they did."""
