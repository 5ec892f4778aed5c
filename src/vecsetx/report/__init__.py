"""Pages for people: scores with hearts to turn, and the quality of a prepared data set."""
