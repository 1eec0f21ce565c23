"""What every room needs from the process it runs in: late imports, randomness, progress, files."""
