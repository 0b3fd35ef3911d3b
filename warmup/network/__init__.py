"""The Network page: its addresses, who may use them, what it shows and what people do there."""
