"""What people see of alerts: on all pages how many are open, and which they are in a drawer."""
