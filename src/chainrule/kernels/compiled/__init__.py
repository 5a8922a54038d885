"""The code that Numba compiles. Only `chainrule.kernels.compiler.load` imports from here: to import any of these modules is to import Numba."""
