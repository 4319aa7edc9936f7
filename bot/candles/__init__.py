"""Where candles come from and where they are kept: closing, checking, importing, downloading, storing."""
