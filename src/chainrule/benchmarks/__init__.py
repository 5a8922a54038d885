"""How fast it is, on this machine: layers and whole training steps against rivals, the ladder of kernels, an account of a step's time.

Behind `chainrule bench`. Speed is not tested by the clock: figures come from here, where contenders take turns, and say on which machine.
"""
