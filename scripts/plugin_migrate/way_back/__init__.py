"""The way back of migrations without a down: what their steps changed, kept, and taken back."""
