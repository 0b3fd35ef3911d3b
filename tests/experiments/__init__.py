"""What Livermore promises, tried on this machine: `./run experiments --list`."""
