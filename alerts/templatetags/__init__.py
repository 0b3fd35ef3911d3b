"""What all pages are written with that show how many alerts are open."""
