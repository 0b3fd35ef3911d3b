"""What `./run bench serving` is made of: an exchange to serve, loads, and what they find out."""
