"""One network at three levels of TensorFlow (CS231n, assignment 2, question 5): what each takes off one's hands.

- `tensors`: functions of tensors, and a tape; the parameters are a list, and the update is written out.
- `modules`: classes that own their parameters; an optimizer updates them.
- `sequential`: no class at all, a list of layers.

They compute the networks of `chainrule.pytorch.levels`: affine - relu - affine, and conv 5x5 - relu - conv 3x3 - relu - affine. Images are
(N, H, W, C), the only order that TensorFlow's convolutions take on a CPU: `images.transpose(0, 2, 3, 1)` of what the rest of chainrule has.
`chainrule.tensorflow.to_tensorflow` brings the weights. Levels 2 and 3 compute in float32; after `keras.config.set_floatx("float64")`,
said before any layer is made, in float64.
"""
