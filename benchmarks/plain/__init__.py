"""What one writes first, measured for comparison."""
