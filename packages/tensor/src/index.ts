// The public face of @mistudio/tensor.
