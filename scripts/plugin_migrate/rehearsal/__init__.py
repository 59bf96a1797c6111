"""Running a plan on a copy of the state, and showing what it did."""
