"""What a bug report needs to know of an installation and its machine, and whether it works."""
