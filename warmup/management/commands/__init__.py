"""Commands on candles, and the ones that keep an exchange live: start, agent."""
