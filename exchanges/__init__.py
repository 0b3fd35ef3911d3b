"""Where candles come from: exchanges as rows, their accounts and symbols, their protocols."""
