"""The catalogue of mistakes: a module for each of the library's, with MISTAKES, each a small wrong function and what to say about it."""
