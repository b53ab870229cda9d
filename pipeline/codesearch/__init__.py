"""Code search: a folder's source files → snippets → an index of vectors and words → answers."""
