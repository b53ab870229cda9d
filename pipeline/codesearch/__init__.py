"""Finding code by what it does: the files of a folder, and what is kept of them."""
