// The public face of @mistudio/model.
