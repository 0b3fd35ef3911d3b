"""What people do on the page: checked, done, written down."""
