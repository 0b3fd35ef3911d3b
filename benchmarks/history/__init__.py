"""What `./run bench history` is made of: files, bulk archives, following, and heals beside."""
