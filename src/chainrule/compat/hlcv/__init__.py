"""HLCV's exercise 2 ("Deep Neural Network and Backpropagation"): its module two_layernet over chainrule.functional."""
