"""An exchange on this machine: the public protocols of real ones over a made-up market."""
