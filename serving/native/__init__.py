"""Our own interface below /v1/, for programs that want to say what they mean."""
