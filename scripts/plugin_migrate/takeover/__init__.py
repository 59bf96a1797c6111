"""What other migration tools leave behind: their ledgers, and their folders of migrations."""
