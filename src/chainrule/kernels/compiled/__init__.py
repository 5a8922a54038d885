"""The code that Numba compiles. Only `chainrule.kernels.compiler.load` imports from here: it is what imports Numba."""
