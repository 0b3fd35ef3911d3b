"""An exchange on this machine: Binance's and Coinbase's public protocols over a made-up market."""
