"""History that is filled and followed while everything goes wrong, and compared with the truth."""
