"""The made-up market: what is listed, and every price as a function of the time."""
