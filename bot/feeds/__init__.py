"""Where closed candles come from: any streaming exchange through ccxt.pro, or stored candles played again."""
