"""The pure core: candles and predictions in, decisions out; no clock, no file, no network, no library.

Read in this order: ``market``, ``prediction``, ``signal``, ``orders``, ``position``, ``account``, ``sizing``,
``state``, ``risk``, ``matching``, ``engine``.
"""
