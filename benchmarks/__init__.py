"""How fast and how small Livermore is, measured on this machine: `./run bench`."""
