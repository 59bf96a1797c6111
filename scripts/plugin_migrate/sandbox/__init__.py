"""What a migration may see and touch while it runs."""
