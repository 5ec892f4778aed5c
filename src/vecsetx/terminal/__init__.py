"""What commands show on the terminal: tables, progress, remarks."""
