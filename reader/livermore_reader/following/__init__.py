"""Each close of an exchange as it comes, over cuts and restarts, and what was missed."""
