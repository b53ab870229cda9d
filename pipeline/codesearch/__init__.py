"""Search in source code by what is asked and by the words in it."""
