"""What is asked of the functions that learners write: a module for each of the library's, with PROBES, and CHAINS where there are any.

PROBES has the probes of each function, the smallest input first: where a function is wrong, the first that shows it is printed. CHAINS has,
for some, the values on the way to their results. NumPy alone is imported here.
"""
