"""One network at three levels of PyTorch (CS231n, assignment 2, question 5): what each takes off one's hands.

- `tensors`: functions of tensors, and autograd; the parameters are a list, and the update is written out.
- `modules`: classes that own their parameters; an optimizer updates them.
- `sequential`: no class at all, a list of layers.

All three compute the same two networks: affine - relu - affine, and conv 5x5 - relu - conv 3x3 - relu - affine.
"""
