"""What commands make of each heart of a cohort, in a worker or in the command's own process."""
