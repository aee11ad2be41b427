"""Tasks: what is read, encoded, predicted and scored, one file each."""
